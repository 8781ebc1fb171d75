package follow

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/access"
	"github.com/parley-chat/parley/services/edge/internal/drain"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// Bounds of an event stream.
const (
	maxStreamRooms = 20
	cursorsEvery   = time.Second
	aliveEvery     = 15 * time.Second
	streamTimeout  = 20 * time.Second // of one write
)

// stream sends the events of several rooms as server-sent events: the socket's JSON as data, and now
// and then the cursors of all rooms as an id, with which the browser comes back.
func (s *Server) stream(c *fiber.Ctx) error {
	caller, address, err := s.caller(c)
	if err != nil {
		return err
	}
	if s.Drain.HasBegun() {
		return drain.Err()
	}
	followers, err := roomsAsked(c)
	if err != nil {
		return err
	}
	release, err := s.open.streams.take(address, caller.User.ID)
	if err != nil {
		return err
	}
	e := &eventStream{server: s, followers: followers, watcher: room.NewWatcher(), conn: c.Context().Conn(), release: release}
	if err := e.enter(c.UserContext(), caller); err != nil {
		e.stop()
		return err
	}
	c.Set(fiber.HeaderContentType, "text/event-stream")
	c.Set("X-Accel-Buffering", "no")
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) { // it runs, whatever becomes of the answer
		defer e.stop()
		e.out = w
		if life := drain.Lifetime(s.MaxAge); life > 0 {
			e.leaves = time.Now().Add(life)
		}
		e.run(context.Background())
	})
	return nil
}

// enter opens all rooms, or refuses the stream as a whole, while there is still a status to say it with.
func (s *eventStream) enter(ctx context.Context, caller *webapi.Caller) error {
	for _, f := range s.followers {
		f.server, f.caller, f.watcher = s.server, caller, s.watcher
		if err := f.enter(ctx); err != nil {
			return err
		}
		if f.log == "" {
			f.log = f.room.Key.Log // a log renewed under the stream is told
		}
	}
	return nil
}

// stop leaves all rooms.
func (s *eventStream) stop() {
	for _, f := range s.followers {
		f.stop()
	}
	s.release()
}

// eventStream is one answer under way.
type eventStream struct {
	server    *Server
	followers []*follower
	watcher   *room.Watcher
	out       *bufio.Writer
	conn      net.Conn
	release   func() // its place among those that are open

	leaves time.Time // when it is old; zero is never
	lastID string    // the cursors as last written
	idAt   time.Time
	wrote  time.Time
}

func (s *eventStream) run(ctx context.Context) {
	s.server.streams.Inc()
	defer s.server.streams.Dec()
	client := watch(s.conn)
	ticker := time.NewTicker(recheck)
	defer ticker.Stop()
	s.comment("parley")
	for s.round(ctx) && s.flush() {
		select {
		case <-s.watcher.C:
		case now := <-ticker.C:
			if client.gone() {
				return
			}
			if !s.leaves.IsZero() && now.After(s.leaves) {
				s.server.Aged.Inc()
				s.sendAway(drain.Within())
				return
			}
		case <-s.server.Drain.Begun():
			s.sendAway(s.server.Drain.Spread)
			return
		}
	}
	s.flush()
}

// sendAway ends the stream: the client comes back elsewhere, within that time.
func (s *eventStream) sendAway(within time.Duration) {
	s.data(wire.Draining{Type: "draining", AfterMS: within.Milliseconds()})
	s.cursors(true)
	s.flush()
}

// round writes what the rooms have; false ends the stream.
func (s *eventStream) round(ctx context.Context) bool {
	for again := true; again; {
		again = false
		for i := 0; i < len(s.followers); i++ {
			f := s.followers[i]
			events, err := f.next(ctx)
			for _, event := range events {
				s.raw(event)
			}
			again = again || len(events) > 0
			rooms := len(s.followers)
			if err != nil && !s.handle(ctx, i, err) {
				return false
			}
			i -= rooms - len(s.followers)
		}
		if again && !s.flush() {
			return false
		}
	}
	s.cursors(false)
	if time.Since(s.wrote) > aliveEvery {
		s.comment("alive")
	}
	return len(s.followers) > 0
}

// handle says what went wrong with a room, and goes on where that is possible.
func (s *eventStream) handle(ctx context.Context, i int, err error) bool {
	f := s.followers[i]
	switch chat.CodeOf(err) { //nolint:exhaustive // what is not named here ends the stream
	case chat.CodeConflict: // the cursor can't be continued: said, never hidden
		snapshot, refused := f.snapshot(ctx)
		if refused != nil {
			return chat.CodeOf(refused) == chat.CodeUnavailable
		}
		f.after, f.log = snapshot.Cursor, snapshot.Info.Log
		s.data(wire.Joined{Type: "joined", Room: snapshot.Info, Cursor: snapshot.Cursor, Messages: snapshot.Messages, HasMore: snapshot.HasMore})
		return true
	case chat.CodeNotFound:
		s.data(wire.RoomGone{Type: "room_deleted", Room: f.slug})
		return s.leave(i)
	case chat.CodeForbidden:
		s.data(wire.Kicked{Type: "kicked", Room: f.slug, Reason: "you may no longer read this room"})
		return s.leave(i)
	case chat.CodeUnavailable: // the next round tries again
		return true
	default:
		s.data(wire.NewError(nil, err))
		return false
	}
}

// leave goes on without a room, if others are left.
func (s *eventStream) leave(i int) bool {
	s.followers[i].stop()
	s.followers = append(s.followers[:i], s.followers[i+1:]...)
	return len(s.followers) > 0
}

func (f *follower) snapshot(ctx context.Context) (room.Snapshot, error) {
	r, err := f.server.Access.Enter(ctx, f.caller.Claims, f.caller.Token, f.slug)
	if err != nil {
		return room.Snapshot{}, err
	}
	defer f.server.Feed.Rooms.Release(r)
	const newest = 50
	return f.server.Feed.Snapshot(ctx, r, access.ReaderOf(f.caller.Claims), room.Join{Limit: newest})
}

func (s *eventStream) data(frame any) {
	if payload, err := json.Marshal(frame); err == nil {
		s.raw(payload)
	}
}

func (s *eventStream) raw(payload []byte) { s.write("data: " + string(payload) + "\n\n") }

func (s *eventStream) comment(text string) { s.write(": " + text + "\n\n") }

// cursors tells the browser what to come back with, once a second at most.
func (s *eventStream) cursors(now bool) {
	id := eventID(s.followers)
	if id == s.lastID || !now && time.Since(s.idAt) < cursorsEvery {
		return
	}
	s.lastID, s.idAt = id, time.Now()
	s.write("id: " + s.lastID + "\n\n")
}

func (s *eventStream) write(text string) {
	s.wrote = time.Now()
	_ = s.conn.SetWriteDeadline(s.wrote.Add(streamTimeout))
	_, _ = s.out.WriteString(text) // an error stays in the writer until flush
}

func (s *eventStream) flush() bool { return s.out.Flush() == nil }
