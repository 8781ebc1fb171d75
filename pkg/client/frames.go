package client

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
)

// envelope has the fields of a frame that decide how to handle it. Room is a slug or a room object, by type.
type envelope struct {
	Type string          `json:"type"`
	ID   *int64          `json:"id"`
	Seq  chat.Seq        `json:"seq"`
	Room json.RawMessage `json:"room"`
}

// handle handles one frame from the server. An error means that the frame violates the protocol, and ends the
// connection. Unknown types and fields are not errors.
func (s *Socket) handle(l *link, frame []byte) error {
	var e envelope
	if err := json.Unmarshal(frame, &e); err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	if e.ID != nil {
		return s.handleAnswer(l, *e.ID, e.Type, frame)
	}
	if e.Seq > 0 {
		return s.handleEntry(l, frame)
	}
	if e.Type == "draining" {
		var draining wire.Draining
		if err := json.Unmarshal(frame, &draining); err != nil {
			return fmt.Errorf("draining: %w", err)
		}
		l.moveAway(time.Now().Add(jitter(time.Duration(draining.AfterMS) * time.Millisecond)))
		return nil
	}
	var slug chat.Slug
	_ = json.Unmarshal(e.Room, &slug) // a room object leaves it empty: such a frame belongs to no joined room
	s.mu.Lock()
	r := s.rooms[slug]
	s.mu.Unlock()
	switch {
	case r == nil:
		s.options.Handler.Frame(e.Type, frame)
	case e.Type == "kicked", e.Type == "room_deleted":
		s.drop(l, r, chat.Errorf(chat.CodeForbidden, "the server removed you from the room: %s", e.Type))
		s.options.Handler.Frame(e.Type, frame)
	default:
		r.handler.Signal(e.Type, frame)
	}
	return nil
}

// handleAnswer passes an answer to the waiter of its command. It drops an answer that comes too late.
func (s *Socket) handleAnswer(l *link, id int64, kind string, frame []byte) error {
	w, ok := l.takeWaiter(id)
	if !ok {
		return nil
	}
	var refused error
	if kind == "error" {
		var e wire.Error
		if err := json.Unmarshal(frame, &e); err != nil {
			return fmt.Errorf("error frame: %w", err)
		}
		refused = asError(e)
	}
	if w.room != nil {
		return s.handleJoinAnswer(l, w.room, frame, refused)
	}
	w.answer <- answer{frame: frame, err: refused}
	return nil
}
