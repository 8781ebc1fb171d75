package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
)

// Joined is what a room's handler hears of a join.
type Joined struct {
	Room chat.Room
	// Recovered says that nothing was missed: the entries since the cursor follow as Entry calls.
	// Otherwise what was known of the room is void, and Messages are the newest, oldest first, in the
	// state after the entry Cursor.
	Recovered   bool
	Cursor      chat.Seq
	Messages    []chat.Message
	HasMore     bool // there are older messages than Messages
	Members     []chat.User
	MemberCount *int // nil: presence is off or away
}

// RoomHandler hears what happens in a room. Its calls come one at a time and in order, from a
// goroutine that reads nothing meanwhile; they must not wait for commands of the same socket.
type RoomHandler interface {
	// Joined comes first, and again after each reconnect or gap.
	Joined(joined Joined)
	// Entry brings the next entry of the log: its Seq is one above that of the entry before, or above
	// Joined's Cursor. It may be of a type that this client does not know.
	Entry(event wire.Event)
	// Signal brings what is not of the log, whole: entered, exited, typing, seen and kinds yet to come.
	Signal(kind string, frame []byte)
	// Left says that the server took the socket out of the room; nothing comes after it.
	Left(why error)
}

// room is a room that was joined, or is being joined.
type room struct {
	slug    chat.Slug
	limit   int
	handler RoomHandler
	lane    chan struct{} // one command that writes at a time, so that they commit in order

	// Guarded by the socket's mu; cursor is written by the reader alone.
	cursor *Cursor       // nil: nothing applied yet
	joined bool          // on the present connection
	known  bool          // was joined once, so the handler heard of it
	asked  int64         // the id of the join under way, 0 for none
	ready  chan struct{} // closed while joined, or once err is set
	err    error         // why it is no room of ours anymore
}

func newRoom(slug chat.Slug, limit int, from *Cursor, handler RoomHandler) *room {
	return &room{slug: slug, limit: limit, handler: handler, cursor: from, lane: make(chan struct{}, 1), ready: make(chan struct{})}
}

// lost notes the end of the connection. The socket's mu is held.
func (r *room) lost() {
	if r.joined {
		r.joined, r.ready = false, make(chan struct{})
	}
	r.asked = 0
}

// sendJoin asks for r from its cursor on. Should no answer come, it is asked for again.
func (s *Socket) sendJoin(l *link, r *room) {
	id := s.nextID()
	command := wire.Command{Type: wire.TypeJoin, ID: &id, Room: r.slug}
	if r.limit > 0 {
		command.Limit = &r.limit
	}
	s.mu.Lock()
	if s.rooms[r.slug] != r {
		s.mu.Unlock()
		s.resumed(l, r)
		return
	}
	r.asked = id
	if r.cursor != nil {
		after := r.cursor.Seq
		command.After, command.Log = &after, r.cursor.Log
	}
	s.mu.Unlock()
	l.expect(id, waiter{room: r})
	l.retry(r, time.Now().Add(s.options.AnswerTimeout))
	_ = l.write(command) // a failure ends the connection, and the next one asks again
}

// joinAnswered handles the answer to the join of r.
func (s *Socket) joinAnswered(l *link, r *room, frame []byte, refused error) error {
	if refused != nil {
		if again := chat.CodeOf(refused); chat.OutcomeUnknown(refused) || again == chat.CodeRateLimited {
			l.retry(r, time.Now().Add(chat.Public(refused).RetryAfter+backoffFirst+jitter(time.Second)))
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
	l.retry(r, time.Time{})
	s.mu.Lock()
	if s.rooms[r.slug] != r {
		s.mu.Unlock()
		s.resumed(l, r) // left meanwhile
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
	r.asked = 0
	if !r.joined {
		r.joined, r.known = true, true
		close(r.ready)
	}
	s.mu.Unlock()
	s.resumed(l, r)
	return nil
}

// replay applies what was missed, which must reach exactly up to cursor.
func (s *Socket) replay(r *room, events []json.RawMessage, cursor chat.Seq) error {
	for _, frame := range events {
		event, err := decodeEvent(frame)
		if err != nil {
			return err
		}
		if gap := s.apply(r, event); gap {
			return fmt.Errorf("the replay of %s has a hole before %d", r.slug, event.Seq)
		}
	}
	s.mu.Lock()
	reached := r.cursor.Seq
	s.mu.Unlock()
	if reached != cursor {
		return fmt.Errorf("the replay of %s reaches %d, not %d", r.slug, reached, cursor)
	}
	return nil
}

// apply hands the next entry to the handler and drops one that it had. It reports a gap.
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

// entry handles an entry of a room's log. After a gap the room is joined again from its cursor; what
// comes until then is dropped, since the answer brings it.
func (s *Socket) entry(l *link, frame []byte) error {
	event, err := decodeEvent(frame)
	if err != nil {
		return err
	}
	s.mu.Lock()
	r := s.rooms[event.Room]
	mine, asked := r != nil && r.joined, r != nil && r.asked != 0
	s.mu.Unlock()
	if mine && s.apply(r, event) && !asked {
		s.sendJoin(l, r)
	}
	return nil
}

// decodeEvent reads an entry. Of a type yet to come it reads what every entry has.
func decodeEvent(frame []byte) (wire.Event, error) {
	var event wire.Event
	if err := json.Unmarshal(frame, &event); err == nil {
		return event, nil
	}
	var known struct {
		Type string    `json:"type"`
		Room chat.Slug `json:"room"`
		Seq  chat.Seq  `json:"seq"`
	}
	if err := json.Unmarshal(frame, &known); err != nil {
		return event, fmt.Errorf("event: %w", err)
	}
	return wire.Event{Type: known.Type, Room: known.Room, Seq: known.Seq}, nil
}

// drop ends a membership that the server refused or took away.
func (s *Socket) drop(l *link, r *room, why error) {
	l.retry(r, time.Time{})
	s.mu.Lock()
	if s.rooms[r.slug] != r {
		s.mu.Unlock()
		s.resumed(l, r)
		return
	}
	delete(s.rooms, r.slug)
	r.fail(why)
	known := r.known
	s.mu.Unlock()
	if known {
		r.handler.Left(why)
	}
	s.resumed(l, r)
}

// fail lets everybody who waits for r know. The socket's mu is held.
func (r *room) fail(why error) {
	if r.err == nil && !r.joined {
		close(r.ready)
	}
	r.err, r.joined = why, false
}

var errGone = errors.New("not in this room")
