package session

import (
	"context"
	"log/slog"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/hub"
)

// Lobby carries out what the lobbies tell: auth's ends sessions, rooms' changes who may know of and
// be in which room. Whatever it takes away is gone for every socket of this edge when it returns.
type Lobby struct {
	Hub         *hub.Hub
	Registry    *Registry
	Revocations *token.Revocations
	Log         *slog.Logger
}

// HandleLobby implements lobby.Handler.
func (l *Lobby) HandleLobby(ctx context.Context, event lobby.Event) {
	switch event.Kind {
	case lobby.SessionEnded, lobby.GenerationRaised:
		l.Revocations.Apply(event)
		for _, s := range l.Registry.All() {
			if claims, authed := s.Claims(); authed && l.Revocations.Revoked(claims) {
				s.Close(wire.CloseUnauthenticated)
			}
		}
	case lobby.RoomCreated, lobby.RoomUpdated, lobby.RoomDeleted:
		if event.Room != nil {
			l.room(ctx, event)
		}
	default: // of a later version
	}
}

// Renewed begins anew after a restore from a backup: what was told before may never have happened.
func (l *Lobby) Renewed(ctx context.Context) {
	l.Hub.Forget(ctx)
	for _, s := range l.Registry.All() {
		s.Close(wire.CloseDrained)
	}
}

// room tells each session what the event means to it, and takes out of the room who may not be in it
// any more.
func (l *Lobby) room(ctx context.Context, event lobby.Event) {
	out := map[*Session]bool{}
	room := l.Hub.HandleRoom(ctx, event, func(m hub.Member) []byte {
		s, ok := m.(*Session)
		if !ok || may(s.User(), event) {
			return nil
		}
		out[s] = true
		return farewell(event)
	})
	for s := range out {
		s.Presence.Exit(room, s.User(), false)
	}
	for _, s := range l.Registry.All() {
		if claims, authed := s.Claims(); authed && claims.Tenant == event.Tenant && !out[s] {
			if news := news(claims.User, event); news != nil {
				s.reply(news)
			}
		}
	}
}

// may says whether user may read the room after the event.
func may(user chat.User, event lobby.Event) bool {
	return event.Kind != lobby.RoomDeleted && event.Room.VisibleTo(&user)
}

// farewell is what one hears who was in the room and may not any more.
func farewell(event lobby.Event) []byte {
	var content []byte
	if event.Kind != lobby.RoomDeleted {
		content = appendFrame(content, wire.Kicked{Type: "kicked", Room: event.Room.Slug, Reason: "you may no longer read this room"})
	}
	return appendFrame(content, wire.RoomGone{Type: "room_deleted", Room: event.Room.Slug})
}

// news is the frame that the event means to one who is not taken out, nil for none.
func news(user chat.User, event lobby.Event) any {
	before := event.Before
	if event.Kind == lobby.RoomDeleted {
		before = event.Room
	}
	knew, knows := before != nil && before.VisibleTo(&user), may(user, event)
	switch {
	case knew && knows:
		return wire.RoomEvent{Type: "room_updated", Room: *event.Room}
	case knows:
		return wire.RoomEvent{Type: "room_created", Room: *event.Room}
	case knew:
		return wire.RoomGone{Type: "room_deleted", Room: event.Room.Slug}
	}
	return nil
}
