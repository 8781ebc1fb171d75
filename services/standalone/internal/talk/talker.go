package talk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/wire"
)

// talker is one client: its socket, what it did and what it saw.
type talker struct {
	talk   *Talk
	who    string
	user   chat.UserID
	socket *client.Socket
	rooms  []chat.Slug
	random *rand.Rand
	ear    *ear

	// Of the goroutine that talks.
	deeds  []Deed
	number int

	mu     sync.Mutex
	sights map[chat.Slug]*Sight
	views  map[chat.Slug]*view
	own    []owned            // messages of its own, the newest last
	out    map[chat.Slug]bool // rooms that could not be joined, or that it was taken out of
}

// owned is a message that this client sent.
type owned struct {
	room    chat.Slug
	id      chat.Seq
	nonce   string
	version int
}

// maxOwned is how many a client remembers to edit, delete and send again.
const maxOwned = 8

// What clients do, in hundredths. The rest is sending.
const (
	ofEdit, ofDelete, ofLeave, ofImpatient, ofRepeat = 8, 3, 3, 3, 3
)

// talkOn does one thing after the other until stopping ends; what is under way is seen through.
func (c *talker) talkOn(stopping, ctx context.Context) {
	mean := time.Duration(float64(time.Second) * float64(c.talk.options.Clients) / c.talk.options.Rate)
	due := time.Now()
	for {
		// By a clock of its own: what an answer takes does not lower the rate, but for an outage.
		due = due.Add(time.Duration(c.random.Int64N(int64(2 * mean))))
		if late := time.Since(due); late > mean {
			due = due.Add(late)
		}
		if wait(stopping, time.Until(due)) != nil {
			return
		}
		c.act(ctx, c.rooms[c.random.IntN(len(c.rooms))])
	}
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *talker) act(ctx context.Context, room chat.Slug) {
	if c.isOut(room) {
		c.join(ctx, room, c.close(room))
		return
	}
	dice := c.random.IntN(100)
	for _, choice := range []struct {
		of int
		do func(context.Context, chat.Slug) bool
	}{{ofEdit, c.edit}, {ofDelete, c.remove}, {ofLeave, c.leave}, {ofImpatient, c.impatient}, {ofRepeat, c.repeat}} {
		if dice < choice.of {
			if choice.do(ctx, room) {
				return
			}
			break
		}
		dice -= choice.of
	}
	c.send(ctx, c.fresh(room), c.talk.options.Patience)
}

func (c *talker) fresh(room chat.Slug) Deed {
	c.number++
	return Deed{Room: room, Kind: roomsapi.KindSend, Nonce: fmt.Sprintf("%s-%d", c.who, c.number)}
}

// send sends a message and notes what came of it.
func (c *talker) send(ctx context.Context, d Deed, patience time.Duration) (acked bool) {
	d = c.do(ctx, d, patience, func(ctx context.Context) (chat.Seq, error) {
		return c.socket.Send(ctx, d.Room, client.Outgoing{Body: Body(d.Nonce, 0), Nonce: d.Nonce})
	})
	if d.Acked == 0 {
		return false
	}
	c.talk.acked.Add(1)
	if !d.Again {
		c.mu.Lock()
		c.own = append(c.own, owned{room: d.Room, id: d.Acked, nonce: d.Nonce})
		c.own = c.own[max(0, len(c.own)-maxOwned):]
		c.mu.Unlock()
	}
	return true
}

// do asks for something and notes it. Whoever is out of the room or out of time has no outcome.
func (c *talker) do(ctx context.Context, d Deed, patience time.Duration, ask func(context.Context) (chat.Seq, error)) Deed {
	d.Who, d.Author, d.Begun = c.who, c.user, time.Now()
	limit, cancel := context.WithTimeout(ctx, patience)
	seq, err := ask(limit)
	cancel()
	d.Answered = time.Now()
	switch {
	case err == nil:
		d.Acked = seq
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, client.ErrClosed) || chat.OutcomeUnknown(err):
		if patience == c.talk.options.Patience && ctx.Err() == nil {
			c.talk.complain(Violation{Who: c.who, Room: d.Room, Text: fmt.Sprintf("the %s of %s had no answer within %s: %v", d.Kind, d.Nonce, patience, err)})
		}
	default:
		d.Refused = err
	}
	c.deeds = append(c.deeds, d)
	if refused, ok := errors.AsType[*chat.Error](d.Refused); ok && refused.RetryAfter > 0 {
		_ = wait(ctx, refused.RetryAfter)
	}
	return d
}

// impatient gives up within milliseconds, whatever has become of the message, and sends it again.
func (c *talker) impatient(ctx context.Context, room chat.Slug) bool {
	d := c.fresh(room)
	if c.send(ctx, d, time.Duration(c.random.Int64N(int64(4*time.Millisecond)))) {
		return true
	}
	d.Again = c.deeds[len(c.deeds)-1].Refused == nil
	c.send(ctx, d, c.talk.options.Patience)
	return true
}

// repeat sends once more what was acked.
func (c *talker) repeat(ctx context.Context, room chat.Slug) bool {
	o, ok := c.ownIn(room)
	if ok {
		c.send(ctx, Deed{Room: room, Kind: roomsapi.KindSend, Nonce: o.nonce, Again: true}, c.talk.options.Patience)
	}
	return ok
}

func (c *talker) edit(ctx context.Context, room chat.Slug) bool {
	o, ok := c.ownIn(room)
	if !ok {
		return false
	}
	c.mu.Lock()
	for i := range c.own {
		if c.own[i].nonce == o.nonce {
			c.own[i].version++
		}
	}
	c.mu.Unlock()
	d := Deed{Room: room, Kind: roomsapi.KindEdit, Nonce: o.nonce, Message: o.id, Version: o.version + 1}
	d = c.do(ctx, d, c.talk.options.Patience, func(ctx context.Context) (chat.Seq, error) {
		return c.socket.Edit(ctx, room, o.id, Body(o.nonce, d.Version))
	})
	c.noteChange(d)
	return true
}

func (c *talker) remove(ctx context.Context, room chat.Slug) bool {
	o, ok := c.ownIn(room)
	if !ok {
		return false
	}
	c.forget(func(other owned) bool { return other.nonce == o.nonce })
	d := Deed{Room: room, Kind: roomsapi.KindDelete, Nonce: o.nonce, Message: o.id}
	d = c.do(ctx, d, c.talk.options.Patience, func(ctx context.Context) (chat.Seq, error) { return c.socket.Delete(ctx, room, o.id) })
	c.noteChange(d)
	return true
}

func (c *talker) noteChange(d Deed) {
	if d.Acked != 0 {
		c.talk.changed.Add(1)
	}
}

func (c *talker) ownIn(room chat.Slug) (owned, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var mine []owned
	for _, o := range c.own {
		if o.room == room {
			mine = append(mine, o)
		}
	}
	if len(mine) == 0 {
		return owned{}, false
	}
	return mine[c.random.IntN(len(mine))], true
}

func (c *talker) forget(which func(owned) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetLocked(which)
}

func (c *talker) forgetLocked(which func(owned) bool) {
	kept := c.own[:0]
	for _, o := range c.own {
		if !which(o) {
			kept = append(kept, o)
		}
	}
	c.own = kept
}

// leave leaves the room for a moment; two of three come back by their cursor, the others anew.
func (c *talker) leave(ctx context.Context, room chat.Slug) bool {
	limit, cancel := context.WithTimeout(ctx, c.talk.options.Patience)
	err := c.socket.Leave(limit, room)
	cancel()
	if err != nil && ctx.Err() == nil {
		c.talk.complain(Violation{Who: c.who, Room: room, Text: fmt.Sprintf("leaving: %v", err)})
	}
	after := c.close(room)
	if c.random.IntN(3) == 0 {
		after = nil
	}
	_ = wait(ctx, time.Duration(c.random.Int64N(int64(time.Second))))
	c.join(ctx, room, after)
	c.talk.rejoins.Add(1)
	return true
}

// close ends the view of a room and says how far it came; nil if it was never joined.
func (c *talker) close(room chat.Slug) *client.Cursor {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.views[room]
	if v == nil {
		return nil
	}
	v.closed = true
	if v.segment == nil {
		return nil
	}
	v.segment.Open = false
	return &client.Cursor{Log: v.segment.Log, Seq: v.segment.cursor()}
}

func (c *talker) join(ctx context.Context, room chat.Slug, after *client.Cursor) {
	v := &view{talker: c, room: room}
	c.mu.Lock()
	if c.sights[room] == nil {
		c.sights[room] = &Sight{Who: c.who, Room: room}
	}
	if after != nil {
		segments := c.sights[room].Segments
		v.segment = segments[len(segments)-1]
	}
	c.views[room] = v
	c.mu.Unlock()
	limit, cancel := context.WithTimeout(ctx, c.talk.options.Patience)
	defer cancel()
	err := c.socket.Join(limit, room, client.JoinOptions{After: after, Limit: 20}, v)
	c.setOut(room, err != nil)
	if err != nil && ctx.Err() == nil {
		c.talk.complain(Violation{Who: c.who, Room: room, Text: fmt.Sprintf("joining: %v", err)})
	}
}

// cursorOf is how far the client has applied a room that it is in or comes back to.
func (c *talker) cursorOf(room chat.Slug) (chat.Seq, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.views[room]; v != nil && !v.closed && v.segment != nil {
		return v.segment.cursor(), true
	}
	return 0, false
}

func (c *talker) setOut(room chat.Slug, out bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out[room] = out
}

func (c *talker) isOut(room chat.Slug) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out[room]
}

func (c *talker) logOf(room chat.Slug) chat.LogID {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.views[room]; v != nil && v.segment != nil {
		return v.segment.Log
	}
	return ""
}

// State implements client.Handler.
func (c *talker) State(connected bool, _ error) {
	if !connected {
		clear(c.ear.rooms)
		c.talk.reconnects.Add(1)
	}
}

// Frame implements client.Handler.
func (c *talker) Frame(string, []byte) {}

// view is a talker's view of one room, from a join until it leaves.
type view struct {
	talker *talker
	room   chat.Slug

	// Guarded by the talker's mu.
	segment *Segment // nil: joins without a cursor
	told    chat.Seq // entries up to here are a replay
	closed  bool
}

// Joined implements client.RoomHandler.
func (v *view) Joined(joined client.Joined) {
	c := v.talker
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.closed {
		return
	}
	sight := c.sights[v.room]
	if joined.Recovered && v.segment != nil {
		c.talk.replays.Add(1)
		if v.segment.Log == joined.Room.Log {
			v.segment.Open, v.told = true, joined.Cursor
			return
		}
		c.talk.complain(Violation{
			Invariant: Recovered, Who: c.who, Room: v.room, Log: v.segment.Log, Seq: v.segment.cursor(),
			Text: fmt.Sprintf("resumed the log %s and was told that nothing was missed of %s", v.segment.Log, joined.Room.Log),
		})
	}
	if v.segment != nil {
		v.segment.Open = false
		sight.Breaks = append(sight.Breaks, Break{Log: v.segment.Log, JoinedLog: joined.Room.Log, After: v.segment.cursor(), Joined: joined.Cursor})
		if v.segment.Log != joined.Room.Log { // its numbers are another's now
			c.forgetLocked(func(o owned) bool { return o.room == v.room })
		}
	}
	v.told = 0
	v.segment = &Segment{Log: joined.Room.Log, Start: joined.Cursor, Whole: !joined.HasMore, Open: true}
	for i := range joined.Messages {
		v.segment.Snapshot = append(v.segment.Snapshot, c.talk.seen.of(seenOf("", 0, &joined.Messages[i])))
	}
	sight.Segments = append(sight.Segments, v.segment)
}

// Entry implements client.RoomHandler.
func (v *view) Entry(event wire.Event) {
	c := v.talker
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.closed {
		return
	}
	seen := eventSeen(&event)
	if seen.Seq <= v.told {
		seen.Told = v.told
	}
	v.segment.Entries = append(v.segment.Entries, c.talk.seen.of(seen))
}

// Signal implements client.RoomHandler.
func (v *view) Signal(string, []byte) {}

// Left implements client.RoomHandler.
func (v *view) Left(why error) {
	v.talker.setOut(v.room, true)
	v.talker.talk.complain(Violation{Who: v.talker.who, Room: v.room, Text: fmt.Sprintf("was taken out: %v", why)})
}
