package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
)

// Joined is the result of a join.
type Joined struct {
	Room chat.Room
	// Recovered means that no entry was missed: the entries since the cursor follow as Entry calls.
	// Otherwise the handler must discard what it has of the room. Messages are then the newest messages, oldest
	// first, in their state after the entry Cursor.
	Recovered   bool
	Cursor      chat.Seq
	Messages    []chat.Message
	HasMore     bool // there are older messages than Messages
	Members     []chat.User
	MemberCount *int // nil: presence is off or unavailable
}

// RoomHandler handles the events of a room. The socket calls it one call at a time and in order, and reads no
// frame meanwhile, so a handler must not wait for commands of the same socket.
type RoomHandler interface {
	// Joined is called first, and again after each reconnect or gap.
	Joined(joined Joined)
	// Entry is called for the next entry of the log. Its Seq is one above the entry before, or one above
	// Joined's Cursor. Its type may be unknown to this client.
	Entry(event wire.Event)
	// Signal is called with each frame that is not in the log: entered, exited, typing, and types of later versions.
	Signal(kind string, frame []byte)
	// Left is called last, when the server removed the socket from the room.
	Left(why error)
}

// room is a room that is joined, or is being joined.
type room struct {
	slug      chat.Slug
	limit     int
	handler   RoomHandler
	writeSlot chan struct{} // held by one writing command at a time, so that messages commit in order

	// Guarded by the socket's mu; only read's goroutine changes cursor.
	cursor     *Cursor       // nil: nothing applied yet
	joined     bool          // on the current connection
	everJoined bool          // the handler has been called
	joinID     int64         // the id of the join in flight, 0 for none
	ready      chan struct{} // closed while joined, or once err is set
	err        error         // why the room is no longer joined
}

func newRoom(slug chat.Slug, limit int, from *Cursor, handler RoomHandler) *room {
	return &room{slug: slug, limit: limit, handler: handler, cursor: from, writeSlot: make(chan struct{}, 1), ready: make(chan struct{})}
}

// disconnected resets r when the connection ends. The caller holds the socket's mu.
func (r *room) disconnected() {
	if r.joined {
		r.joined, r.ready = false, make(chan struct{})
	}
	r.joinID = 0
}

// sendJoin joins r from its cursor on. It repeats the join if no answer comes.
func (s *Socket) sendJoin(l *link, r *room) {
	id := s.nextID()
	command := wire.Command{Type: wire.TypeJoin, ID: &id, Room: r.slug}
	if r.limit > 0 {
		command.Limit = &r.limit
	}
	s.mu.Lock()
	if s.rooms[r.slug] != r {
		s.mu.Unlock()
		s.roomSettled(l, r)
		return
	}
	r.joinID = id
	if r.cursor != nil {
		after := r.cursor.Seq
		command.After, command.Log = &after, r.cursor.Log
	}
	s.mu.Unlock()
	l.expect(id, waiter{room: r})
	l.scheduleRejoin(r, time.Now().Add(s.options.AnswerTimeout))
	_ = l.write(command) // a failure ends the connection, and the next one sends the join again
}

// handleJoinAnswer handles the answer to the join of r.
func (s *Socket) handleJoinAnswer(l *link, r *room, frame []byte, refused error) error {
	if refused != nil {
		if chat.OutcomeUnknown(refused) || chat.CodeOf(refused) == chat.CodeRateLimited {
			l.scheduleRejoin(r, time.Now().Add(chat.Public(refused).RetryAfter+backoffBase+jitter(time.Second)))
			return nil
		}
		s.drop(l, r, refused)
		return nil
	}
	var answer struct {
		wire.Joined
		Messages []chat.Message `json:"messages"`
	}
	if err := json.Unmarshal(frame, &answer); err != nil {
		return fmt.Errorf("joined: %w", err)
	}
	l.scheduleRejoin(r, time.Time{})
	s.mu.Lock()
	if s.rooms[r.slug] != r {
		s.mu.Unlock()
		s.roomSettled(l, r) // the caller has left it meanwhile
		return nil
	}
	before := r.cursor
	if answer.Recovered && before != nil {
		r.cursor.Log = answer.Room.Log
	} else {
		r.cursor = &Cursor{Log: answer.Room.Log, Seq: answer.Cursor}
	}
	s.mu.Unlock()
	r.handler.Joined(Joined{
		Room: answer.Room, Recovered: answer.Recovered, Cursor: answer.Cursor, Messages: answer.Messages,
		HasMore: answer.HasMore, Members: answer.Members, MemberCount: answer.MemberCount,
	})
	if answer.Recovered && before != nil {
		if err := s.replay(r, answer.Events, answer.Cursor); err != nil {
			return err
		}
	}
	s.mu.Lock()
	r.joinID = 0
	if !r.joined {
		r.joined, r.everJoined = true, true
		close(r.ready)
	}
	s.mu.Unlock()
	s.roomSettled(l, r)
	return nil
}

// replay applies the missed entries. They must end exactly at cursor.
func (s *Socket) replay(r *room, events []json.RawMessage, cursor chat.Seq) error {
	for _, frame := range events {
		event, err := decodeEvent(frame)
		if err != nil {
			return err
		}
		if gap := s.apply(r, event); gap {
			return fmt.Errorf("the replay of %s has a gap before %d", r.slug, event.Seq)
		}
	}
	s.mu.Lock()
	reached := r.cursor.Seq
	s.mu.Unlock()
	if reached != cursor {
		return fmt.Errorf("the replay of %s ends at %d, not at %d", r.slug, reached, cursor)
	}
	return nil
}

// apply passes an entry to the handler if it is the next one, and drops it otherwise. It reports whether entries are
// missing before it.
func (s *Socket) apply(r *room, event wire.Event) (gap bool) {
	s.mu.Lock()
	next := r.cursor.Seq + 1
	if event.Seq == next {
		r.cursor.Seq = next
	}
	s.mu.Unlock()
	if event.Seq == next {
		r.handler.Entry(event)
	}
	return event.Seq > next
}

// handleEntry handles an entry of a room's log. After a gap it joins the room again from its cursor, and drops
// entries until the answer, which brings them.
func (s *Socket) handleEntry(l *link, frame []byte) error {
	event, err := decodeEvent(frame)
	if err != nil {
		return err
	}
	s.mu.Lock()
	r := s.rooms[event.Room]
	joined, joining := r != nil && r.joined, r != nil && r.joinID != 0
	s.mu.Unlock()
	if joined && s.apply(r, event) && !joining {
		s.sendJoin(l, r)
	}
	return nil
}

// decodeEvent reads an entry. If its type is unknown, it only reads the fields that every entry has.
func decodeEvent(frame []byte) (wire.Event, error) {
	var event wire.Event
	if err := json.Unmarshal(frame, &event); err == nil {
		return event, nil
	}
	var common struct {
		Type string    `json:"type"`
		Room chat.Slug `json:"room"`
		Seq  chat.Seq  `json:"seq"`
	}
	if err := json.Unmarshal(frame, &common); err != nil {
		return event, fmt.Errorf("event: %w", err)
	}
	return wire.Event{Type: common.Type, Room: common.Room, Seq: common.Seq}, nil
}

// drop removes a room whose join the server refused, or that it removed the socket from.
func (s *Socket) drop(l *link, r *room, why error) {
	l.scheduleRejoin(r, time.Time{})
	s.mu.Lock()
	if s.rooms[r.slug] != r {
		s.mu.Unlock()
		s.roomSettled(l, r)
		return
	}
	delete(s.rooms, r.slug)
	r.fail(why)
	everJoined := r.everJoined
	s.mu.Unlock()
	if everJoined {
		r.handler.Left(why)
	}
	s.roomSettled(l, r)
}

// fail returns why to every caller that waits for r. The caller of fail holds the socket's mu.
func (r *room) fail(why error) {
	if r.err == nil && !r.joined {
		close(r.ready)
	}
	r.err, r.joined = why, false
}

var errNotJoined = errors.New("the room is not joined")
