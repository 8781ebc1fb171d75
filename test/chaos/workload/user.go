package workload

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
	"github.com/parley-chat/parley/test/chaos/history"
	"github.com/parley-chat/parley/test/harness"
)

// user is one client: its socket, what it did and what it saw.
type user struct {
	workload *Workload
	name     string
	id       chat.UserID
	socket   *client.Socket
	rooms    []chat.Slug
	random   *rand.Rand
	frames   *frameChecker

	// Of the goroutine that talks.
	operations []history.Operation
	number     int

	mu           sync.Mutex
	observations map[chat.Slug]*history.Observation
	views        map[chat.Slug]*view
	own          []owned            // messages of its own, the newest last
	out          map[chat.Slug]bool // rooms that could not be joined, or that it was taken out of
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

// run does one thing after the other until stopping ends; what is under way is seen through.
func (c *user) run(stopping, ctx context.Context) {
	mean := time.Duration(float64(time.Second) * float64(c.workload.options.Clients) / c.workload.options.Rate)
	due := time.Now()
	for {
		// By a clock of its own: what an answer takes does not lower the rate, but for an outage.
		due = due.Add(time.Duration(c.random.Int64N(int64(2 * mean))))
		if late := time.Since(due); late > mean {
			due = due.Add(late)
		}
		if harness.Pause(stopping, time.Until(due)) != nil {
			return
		}
		c.act(ctx, c.rooms[c.random.IntN(len(c.rooms))])
	}
}

func (c *user) act(ctx context.Context, room chat.Slug) {
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
	c.send(ctx, c.fresh(room), c.workload.options.Patience)
}

func (c *user) fresh(room chat.Slug) history.Operation {
	c.number++
	return history.Operation{Room: room, Kind: roomsapi.KindSend, Nonce: fmt.Sprintf("%s-%d", c.name, c.number)}
}

// send sends a message and notes what came of it.
func (c *user) send(ctx context.Context, d history.Operation, patience time.Duration) (acked bool) {
	d = c.do(ctx, d, patience, func(ctx context.Context) (chat.Seq, error) {
		return c.socket.Send(ctx, d.Room, client.Outgoing{Body: history.Body(d.Nonce, 0), Nonce: d.Nonce})
	})
	if d.Acked == 0 {
		return false
	}
	c.workload.acked.Add(1)
	if !d.Resent {
		c.mu.Lock()
		c.own = append(c.own, owned{room: d.Room, id: d.Acked, nonce: d.Nonce})
		c.own = c.own[max(0, len(c.own)-maxOwned):]
		c.mu.Unlock()
	}
	return true
}

// do asks for something and notes it. Whoever is out of the room or out of time has no outcome.
func (c *user) do(ctx context.Context, d history.Operation, patience time.Duration, ask func(context.Context) (chat.Seq, error)) history.Operation {
	d.Client, d.Author, d.Started = c.name, c.id, time.Now()
	limit, cancel := context.WithTimeout(ctx, patience)
	seq, err := ask(limit)
	cancel()
	d.Answered = time.Now()
	switch {
	case err == nil:
		d.Acked = seq
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, client.ErrClosed) || chat.OutcomeUnknown(err):
		if patience == c.workload.options.Patience && ctx.Err() == nil {
			c.workload.report(history.Violation{Client: c.name, Room: d.Room, Text: fmt.Sprintf("the %s of %s had no answer within %s: %v", d.Kind, d.Nonce, patience, err)})
		}
	default:
		d.Refused = err
	}
	c.operations = append(c.operations, d)
	if refused, ok := errors.AsType[*chat.Error](d.Refused); ok && refused.RetryAfter > 0 {
		_ = harness.Pause(ctx, refused.RetryAfter)
	}
	return d
}

// impatient gives up within milliseconds, whatever has become of the message, and sends it again.
func (c *user) impatient(ctx context.Context, room chat.Slug) bool {
	d := c.fresh(room)
	if c.send(ctx, d, time.Duration(c.random.Int64N(int64(4*time.Millisecond)))) {
		return true
	}
	d.Resent = c.operations[len(c.operations)-1].Refused == nil
	c.send(ctx, d, c.workload.options.Patience)
	return true
}

// repeat sends once more what was acked.
func (c *user) repeat(ctx context.Context, room chat.Slug) bool {
	o, ok := c.ownIn(room)
	if ok {
		c.send(ctx, history.Operation{Room: room, Kind: roomsapi.KindSend, Nonce: o.nonce, Resent: true}, c.workload.options.Patience)
	}
	return ok
}

func (c *user) edit(ctx context.Context, room chat.Slug) bool {
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
	d := history.Operation{Room: room, Kind: roomsapi.KindEdit, Nonce: o.nonce, Message: o.id, Version: o.version + 1}
	d = c.do(ctx, d, c.workload.options.Patience, func(ctx context.Context) (chat.Seq, error) {
		return c.socket.Edit(ctx, room, o.id, history.Body(o.nonce, d.Version))
	})
	c.noteChange(d)
	return true
}

func (c *user) remove(ctx context.Context, room chat.Slug) bool {
	o, ok := c.ownIn(room)
	if !ok {
		return false
	}
	c.forget(func(other owned) bool { return other.nonce == o.nonce })
	d := history.Operation{Room: room, Kind: roomsapi.KindDelete, Nonce: o.nonce, Message: o.id}
	d = c.do(ctx, d, c.workload.options.Patience, func(ctx context.Context) (chat.Seq, error) { return c.socket.Delete(ctx, room, o.id) })
	c.noteChange(d)
	return true
}

func (c *user) noteChange(d history.Operation) {
	if d.Acked != 0 {
		c.workload.changed.Add(1)
	}
}

func (c *user) ownIn(room chat.Slug) (owned, bool) {
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

func (c *user) forget(which func(owned) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetLocked(which)
}

func (c *user) forgetLocked(which func(owned) bool) {
	kept := c.own[:0]
	for _, o := range c.own {
		if !which(o) {
			kept = append(kept, o)
		}
	}
	c.own = kept
}
