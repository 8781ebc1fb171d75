package session

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/access"
)

// Guarantee 5: a session that ends between the handshake's check of its token and the hello.
func TestASessionRevokedDuringTheHandshakeIsClosed(t *testing.T) {
	server, client := net.Pipe()
	defer func() { _ = client.Close() }()
	registry := NewRegistry(time.Minute)
	claims := token.Claims{User: chat.User{ID: "u"}, Session: "s", Expires: time.Now().Add(time.Hour)} // verified: good
	shared, revocations := newShared(claims, &fakeRooms{})
	events := access.NewEvents(shared.Access, registry, revocations)
	s := New(shared, server, "")
	registry.Add(s)
	events.HandleLobby(t.Context(), lobby.Event{Seq: 1, Kind: lobby.SessionEnded, User: "u", Session: "s"})
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
	frame := wire.AppendJSON(nil, wire.Joined{Type: "joined", Messages: messages})
	if len(frame) > 1<<20 {
		t.Errorf("%d bytes of messages made a frame of %d: more than an outbox holds", bytes, len(frame))
	}
}

// Guarantee 5: staff revoked; the refreshed token is shown on the open socket before the lobby tells of it.
func TestWhoIsStaffNoMoreDoesNotStayByRenewing(t *testing.T) {
	server, client := net.Pipe()
	defer func() { _ = client.Close() }()
	registry := NewRegistry(time.Minute)
	later := token.Claims{User: chat.User{ID: "u"}, Session: "s", Generation: 2, Expires: time.Now().Add(time.Hour)}
	shared, revocations := newShared(later, &fakeRooms{})
	events := access.NewEvents(shared.Access, registry, revocations)
	s := New(shared, server, "")
	registry.Add(s)
	s.Greet(t.Context(), token.Claims{User: chat.User{ID: "u", Staff: true}, Session: "s", Generation: 1, Expires: time.Now().Add(time.Hour)}, "old", nil)
	defer s.End()
	// It is in staff-only rooms meanwhile.
	if err := s.auth(t.Context(), call{Command: wire.Command{Type: wire.TypeAuth, Token: "new"}}); chat.CodeOf(err) != chat.CodeForbidden {
		t.Error(err)
	}
	events.HandleLobby(t.Context(), lobby.Event{Seq: 1, Kind: lobby.GenerationRaised, User: "u", Generation: 2})
	if s.outbox.Code() != wire.CloseUnauthenticated {
		t.Error("the socket stays, in every staff-only room that it was in")
	}
}
