package session

import (
	"context"

	"github.com/parley-chat/parley/pkg/wire"
)

func (s *Session) leave(_ context.Context, c call) error {
	s.mu.Lock()
	r := s.rooms[c.Room]
	delete(s.rooms, c.Room)
	s.mu.Unlock()
	if r != nil && r.Remove(s) {
		s.outbox.Drop(r.ID)
		s.Presence.Exit(r, s.User(), false)
	}
	s.reply(wire.Left{Type: "left", ID: c.ID, Room: c.Room})
	return nil
}
