package presence

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// roundRooms bounds how many rooms go into one pipeline.
const roundRooms = 500

// round writes what has changed here and reads the rooms that are due: those with changes, here or
// elsewhere, at most once a second, and all of them now and then (all), which brings back what Redis
// lost and finds dead edges.
func (p *Presence) round(ctx context.Context, now time.Time, all bool) error {
	due, changes := p.collect(now, all)
	for len(due) > 0 {
		n := min(roundRooms, len(due))
		if err := p.write(ctx, now, due[:n], changes[:n]); err != nil {
			// Redis is away: nobody knows who is elsewhere, so what was known stays, and is tried again. The rest
			// is not tried now: each time-out is time in which the lease is not renewed.
			p.log.DebugContext(ctx, "presence is away", slog.Any("error", err))
			p.again(changes)
			return err
		}
		due, changes = due[n:], changes[n:]
	}
	return nil
}

// collect finds the rooms that are due and what is to be written of each.
func (p *Presence) collect(now time.Time, all bool) (due []stream.Room, changes []change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, t := range p.tracked {
		t.expireLost(now)
		pending := t.change || t.dirty || t.waiting(now)
		if all || pending && now.Sub(t.last) >= roundEvery {
			due, changes = append(due, key), append(changes, t.takeChange(key, all))
			t.last = now
		}
	}
	return due, changes
}

// expireLost takes out whose last socket was lost too long ago.
func (t *tracked) expireLost(now time.Time) {
	for _, l := range t.local {
		if l.sockets == 0 && !l.stale && now.Sub(l.lost) >= grace {
			l.stale, l.left, t.change = true, true, true
		}
	}
}

// takeChange returns what is to be written of the room: who is here, if that has changed or all is
// written again, and who is not any more.
func (t *tracked) takeChange(key stream.Room, all bool) change {
	c := change{room: key, tell: t.change}
	for id, l := range t.local {
		switch {
		case l.stale:
			c.gone = append(c.gone, id)
			if l.left {
				c.left = append(c.left, id)
				t.left[id] = true
			}
		case t.change || all:
			c.here = append(c.here, l.user)
		}
	}
	t.change, t.dirty = false, false
	return c
}

// waiting says that somebody's grace is over.
func (t *tracked) waiting(now time.Time) bool {
	for _, since := range t.absent {
		if now.Sub(since) >= grace {
			return true
		}
	}
	return false
}

// write writes the changes of some rooms, reads their states and tells what is new in them.
func (p *Presence) write(ctx context.Context, now time.Time, due []stream.Room, changes []change) error {
	start := time.Now()
	err := p.registry.write(ctx, changes)
	var states []state
	if err == nil {
		states, err = p.registry.read(ctx, due)
	}
	p.metrics.round(start, err)
	if err != nil {
		return err
	}
	for i, key := range due {
		p.settle(now, key, changes[i], states[i])
	}
	return nil
}

// again makes changes due again that could not be written.
func (p *Presence) again(changes []change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range changes {
		if t := p.tracked[c.room]; t != nil {
			t.change = t.change || c.tell
			t.dirty = true
		}
	}
}

// settle compares a room's state with what its members were told, and tells them the difference.
func (p *Presence) settle(now time.Time, key stream.Room, c change, s state) {
	p.mu.Lock()
	t := p.tracked[key]
	if t == nil {
		p.mu.Unlock()
		return
	}
	for _, id := range c.gone {
		if l := t.local[id]; l != nil && l.stale {
			delete(t.local, id)
		}
	}
	r := t.room
	entered, exited := t.compare(now, s)
	count := t.count
	if len(t.local) == 0 {
		delete(p.tracked, key)
	}
	p.mu.Unlock()
	p.metrics.updates.WithLabelValues("entered").Add(float64(len(entered)))
	p.metrics.updates.WithLabelValues("exited").Add(float64(len(exited)))
	for _, user := range entered {
		tell(r, "entered", user, count)
	}
	for _, user := range exited {
		tell(r, "exited", user, count)
	}
}

// compare takes in the room's state and returns the difference to the one before. Who vanished from
// the registry without having left is held to be there for a grace: an edge has died, or Redis has
// forgotten everything, and they are on their way back.
func (t *tracked) compare(now time.Time, s state) (entered, exited []chat.User) {
	if t.large = s.users == nil; t.large {
		t.count = s.count
		clear(t.known)
		clear(t.absent)
		clear(t.left)
		return nil, nil
	}
	for id, user := range s.users {
		if _, known := t.known[id]; !known {
			entered = append(entered, user)
		}
		t.known[id] = user
		delete(t.absent, id)
	}
	for id, user := range t.known {
		if _, there := s.users[id]; there {
			continue
		}
		since, waiting := t.absent[id]
		if !waiting {
			since = now
			t.absent[id] = now
		}
		if t.left[id] || now.Sub(since) >= grace {
			exited = append(exited, user)
			delete(t.known, id)
			delete(t.absent, id)
		}
	}
	clear(t.left)
	t.count = len(t.known)
	return entered, exited
}

// tell tells the members of the room, but not whom it is about.
func tell(r *room.Room, kind string, user chat.User, count int) {
	payload, err := json.Marshal(wire.Presence{Type: kind, Room: r.Slug, User: user, MemberCount: count})
	if err == nil {
		r.Broadcast(wire.AppendText(nil, payload), user.ID)
	}
}
