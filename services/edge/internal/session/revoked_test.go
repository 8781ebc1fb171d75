package session

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/hub"
)

// Guarantee 5: a session that ends between the handshake's check of its token and the hello.
func TestASessionRevokedDuringTheHandshakeIsClosed(t *testing.T) {
	server, client := net.Pipe()
	defer func() { _ = client.Close() }()
	revocations := token.NewRevocations(time.Now)
	registry := NewRegistry(time.Minute)
	log := slog.New(slog.DiscardHandler)
	claims := token.Claims{User: chat.User{ID: "u"}, Session: "s", Expires: time.Now().Add(time.Hour)} // verified: good
	shared := &Shared{
		Hub: hub.New(nil, log, prometheus.NewRegistry()), Limiter: NewLimiter(Rates{}), Writers: NewWriters(), Verifier: &anyToken{claims, revocations},
		Limits: Limits{OutboxBytes: 1 << 20, Heartbeat: time.Minute}, Metrics: NewMetrics(prometheus.NewRegistry()), Log: log,
	}
	told := &Lobby{Hub: shared.Hub, Registry: registry, Revocations: revocations, Log: log}
	s := New(shared, server, "")
	registry.Add(s)
	told.HandleLobby(t.Context(), lobby.Event{Seq: 1, Kind: lobby.SessionEnded, User: "u", Session: "s"})
	s.Greet(t.Context(), claims, "raw", nil)
	defer s.End()
	if s.outbox.Code() != wire.CloseUnauthenticated {
		t.Error("the socket of an ended session stays open")
	}
}

// A joined, bounded by the bytes of its messages, must fit the outbox as it goes out.
func TestAJoinedIsNotLongerThanItsMessages(t *testing.T) {
	var messages []json.RawMessage
	bytes := 0
	for bytes < 250<<10 {
		m := json.RawMessage(`{"id":1,"body":"` + strings.Repeat("<", 16<<10) + `"}`)
		messages, bytes = append(messages, m), bytes+len(m)
	}
	frame := appendFrame(nil, wire.Joined{Type: "joined", Messages: messages})
	if len(frame) > 1<<20 {
		t.Errorf("%d bytes of messages made a frame of %d: more than an outbox holds", bytes, len(frame))
	}
}

// anyToken verifies every token as the same, for as long as that is not revoked.
type anyToken struct {
	claims      token.Claims
	revocations *token.Revocations
}

func (v *anyToken) Verify(context.Context, string) (token.Claims, error) {
	if v.revocations.Revoked(v.claims) {
		return token.Claims{}, chat.Errorf(chat.CodeUnauthenticated, "revoked")
	}
	return v.claims, nil
}

// Guarantee 5: staff revoked; the refreshed token is shown on the open socket before the lobby tells of it.
func TestWhoIsStaffNoMoreDoesNotStayByRenewing(t *testing.T) {
	server, client := net.Pipe()
	defer func() { _ = client.Close() }()
	revocations := token.NewRevocations(time.Now)
	registry := NewRegistry(time.Minute)
	log := slog.New(slog.DiscardHandler)
	later := token.Claims{User: chat.User{ID: "u"}, Session: "s", Generation: 2, Expires: time.Now().Add(time.Hour)}
	shared := &Shared{
		Hub: hub.New(nil, log, prometheus.NewRegistry()), Limiter: NewLimiter(Rates{}), Writers: NewWriters(), Verifier: &anyToken{later, revocations},
		Limits: Limits{OutboxBytes: 1 << 20, Heartbeat: time.Minute}, Metrics: NewMetrics(prometheus.NewRegistry()), Log: log,
	}
	told := &Lobby{Hub: shared.Hub, Registry: registry, Revocations: revocations, Log: log}
	s := New(shared, server, "")
	registry.Add(s)
	s.Greet(t.Context(), token.Claims{User: chat.User{ID: "u", Staff: true}, Session: "s", Generation: 1, Expires: time.Now().Add(time.Hour)}, "old", nil)
	defer s.End()
	// It is in staff-only rooms meanwhile.
	if err := s.auth(t.Context(), wire.Command{Type: wire.TypeAuth, Token: "new"}); chat.CodeOf(err) != chat.CodeForbidden {
		t.Error(err)
	}
	told.HandleLobby(t.Context(), lobby.Event{Seq: 1, Kind: lobby.GenerationRaised, User: "u", Generation: 2})
	if s.outbox.Code() != wire.CloseUnauthenticated {
		t.Error("the socket stays, in every staff-only room that it was in")
	}
}
