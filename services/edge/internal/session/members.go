package session

import (
	"context"

	"github.com/parley-chat/parley/pkg/wire"
)

func (s *Session) typing(_ context.Context, c call) error {
	r, err := s.joinedRoom(c.Room)
	if err == nil {
		s.Presence.Typing(r, s.User())
	}
	return err
}

func (s *Session) members(_ context.Context, c call) error {
	r, err := s.joinedRoom(c.Room)
	if err != nil {
		return err
	}
	users, count := s.Presence.Members(r)
	s.reply(wire.Members{Type: "members", ID: c.ID, Room: c.Room, Members: users, MemberCount: count})
	return nil
}
