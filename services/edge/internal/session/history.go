package session

import (
	"context"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

func (s *Session) history(ctx context.Context, c call) error {
	r, err := s.joinedRoom(c.Room)
	if err != nil {
		return err
	}
	if c.Before < 0 {
		return chat.Errorf(chat.CodeBadRequest, `"before" can't be negative`)
	}
	page, err := s.Rooms.History(ctx, r.ID, c.Before, pageSize(c.Limit))
	if err == nil {
		_, err = s.joinedRoom(c.Room) // it may have been taken out meanwhile
	}
	if err == nil && s.Feed.Rooms.Held() {
		err = room.ErrHeld()
	}
	if err != nil {
		return err
	}
	s.reply(wire.History{Type: "history", ID: c.ID, Room: c.Room, Messages: page.Messages, HasMore: page.HasMore})
	return nil
}

// Bounds of a page of messages.
const (
	defaultPage = 50
	maxPage     = 100
)

// pageSize cuts what the client asks for to what is allowed.
func pageSize(asked *int) int {
	if asked == nil {
		return defaultPage
	}
	return min(max(*asked, 1), maxPage)
}
