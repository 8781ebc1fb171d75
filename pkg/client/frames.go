package client

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
)

// envelope is what is read of a frame first. Room is a slug or a whole room, by type.
type envelope struct {
	Type string          `json:"type"`
	ID   *int64          `json:"id"`
	Seq  chat.Seq        `json:"seq"`
	Room json.RawMessage `json:"room"`
}

// handle handles one frame of the server. An error ends the connection: the frame is not of this
// protocol. Unknown types and fields are not an error.
func (s *Socket) handle(l *link, frame []byte) error {
	var e envelope
	if err := json.Unmarshal(frame, &e); err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	if e.ID != nil {
		return s.answered(l, *e.ID, e.Type, frame)
	}
	if e.Seq > 0 {
		return s.entry(l, frame)
	}
	if e.Type == "draining" {
		var draining wire.Draining
		if err := json.Unmarshal(frame, &draining); err != nil {
			return fmt.Errorf("draining: %w", err)
		}
		l.move(time.Now().Add(jitter(time.Duration(draining.AfterMS) * time.Millisecond)))
		return nil
	}
	var slug chat.Slug
	_ = json.Unmarshal(e.Room, &slug) // a whole room is none of those that one is in
	s.mu.Lock()
	r := s.rooms[slug]
	s.mu.Unlock()
	switch {
	case r == nil:
		s.options.Handler.Frame(e.Type, frame)
	case e.Type == "kicked", e.Type == "room_deleted":
		s.drop(l, r, chat.Errorf(chat.CodeForbidden, "taken out of the room: %s", e.Type))
		s.options.Handler.Frame(e.Type, frame)
	default:
		r.handler.Signal(e.Type, frame)
	}
	return nil
}

// answered hands the answer to a command to who waits for it. Nobody may: it came too late.
func (s *Socket) answered(l *link, id int64, kind string, frame []byte) error {
	w, ok := l.take(id)
	if !ok {
		return nil
	}
	var refused error
	if kind == "error" {
		var e wire.Error
		if err := json.Unmarshal(frame, &e); err != nil {
			return fmt.Errorf("error frame: %w", err)
		}
		refused = e.Err()
	}
	if w.room != nil {
		return s.joinAnswered(l, w.room, frame, refused)
	}
	w.answer <- answer{frame: frame, err: refused}
	return nil
}
