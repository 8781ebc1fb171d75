package session

import (
	"encoding/json"
	"io"
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

// Whatever a lobby tells, of whatever version, a socket of a user who may not know of a room hears
// nothing of it, and what ends a session ends its socket.
func FuzzLobby(f *testing.F) {
	log := slog.New(slog.DiscardHandler)
	f.Fuzz(func(t *testing.T, content []byte) {
		var event lobby.Event
		if json.Unmarshal(content, &event) != nil {
			return
		}
		server, client := net.Pipe()
		heard := make(chan string, 1)
		go func() {
			all, _ := io.ReadAll(client)
			heard <- string(all)
		}()
		revocations, registry := token.NewRevocations(time.Now), NewRegistry(time.Minute)
		claims := token.Claims{Tenant: "default", User: chat.User{ID: "g", Kind: chat.KindGuest}, Session: "s", Generation: 1, Expires: time.Now().Add(time.Hour)}
		shared := &Shared{
			Hub: hub.New(nil, log, prometheus.NewRegistry()), Limiter: NewLimiter(Rates{}), Writers: NewWriters(), Verifier: &anyToken{claims, revocations},
			Limits: Limits{OutboxBytes: 1 << 20, Heartbeat: time.Minute}, Metrics: NewMetrics(prometheus.NewRegistry()), Log: log,
		}
		told := &Lobby{Hub: shared.Hub, Registry: registry, Revocations: revocations, Log: log}
		s := New(shared, server, "")
		registry.Add(s)
		s.Greet(t.Context(), claims, "raw", nil)
		told.HandleLobby(t.Context(), event)
		ended := event.Kind == lobby.SessionEnded && event.Session == "s" || event.Kind == lobby.GenerationRaised && event.User == "g" && event.Generation > 1
		if closed := s.outbox.Closing(); closed != ended {
			t.Errorf("%q: closed is %v", content, closed)
		}
		s.Close(wire.CloseNormal)
		s.End()
		_ = server.Close()
		text := <-heard
		secret := event.Room == nil || !event.Room.VisibleTo(&claims.User) && (event.Before == nil || !event.Before.VisibleTo(&claims.User))
		if (secret || event.Tenant != "default") && strings.Contains(text, `"type":"room_`) {
			t.Errorf("%q: a guest was told of it: %q", content, text)
		}
	})
}
