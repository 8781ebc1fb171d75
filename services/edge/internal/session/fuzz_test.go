package session

import (
	"encoding/json"
	"io"
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

// Whatever a lobby tells, of whatever version, a socket of a user who may not know of a room hears
// nothing of it, and what ends a session ends its socket.
func FuzzLobby(f *testing.F) {
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
		registry := NewRegistry(time.Minute)
		claims := token.Claims{Tenant: "default", User: chat.User{ID: "g", Kind: chat.KindGuest}, Session: "s", Generation: 1, Expires: time.Now().Add(time.Hour)}
		shared, revocations := newShared(claims, &fakeRooms{})
		events := access.NewEvents(shared.Access, registry, revocations)
		s := New(shared, server, "")
		registry.Add(s)
		s.Greet(t.Context(), claims, "raw", nil)
		events.HandleLobby(t.Context(), event)
		ended := event.Kind == lobby.SessionEnded && event.Session == "s" || event.Kind == lobby.GenerationRaised && event.User == "g" && event.Generation > 1
		if closed := s.outbox.Closing(); closed != ended {
			t.Errorf("%q: closed is %v", content, closed)
		}
		s.Close(wire.CloseNormal)
		s.End()
		_ = server.Close()
		text := <-heard
		knows, _ := event.After().Knows(claims.User)
		knew, _ := event.Former().Knows(claims.User)
		secret := event.Room == nil || !knows && !knew
		if (secret || event.Tenant != "default") && strings.Contains(text, `"type":"room_`) {
			t.Errorf("%q: a guest was told of it: %q", content, text)
		}
	})
}
