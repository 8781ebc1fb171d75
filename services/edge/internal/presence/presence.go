// Package presence knows who is in which room, across all edges. A member is a user, however many
// sockets. What is told, entered and exited, is the difference between two states of a registry in
// Redis, at most once per room and second, and not messages passed on: so it comes right again by
// itself, whatever was lost.
package presence

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// roundEvery is how often a room's state is read at most.
const roundEvery = time.Second

// loadTimeout bounds how long the first one in a room waits to learn who else is there.
const loadTimeout = 500 * time.Millisecond

// Presence is the presence of one edge. Lock order: its mu is never held while a Room is called.
type Presence struct {
	registry *Registry
	client   redis.UniversalClient
	rooms    interface {
		ByKey(key stream.Room) *room.Room
	}
	log     *slog.Logger
	on      bool
	metrics metrics

	mu      sync.Mutex
	tracked map[stream.Room]*tracked
	typing  map[typist]time.Time // when each may be told of again
	signals []stream.Signal
	wake    chan struct{}
}

// tracked is a room that somebody on this edge is in.
type tracked struct {
	loaded chan struct{} // closed when its state has been read once, or could not be
	room   *room.Room
	local  map[chat.UserID]*local
	known  map[chat.UserID]chat.User // as told to the members
	absent map[chat.UserID]time.Time // not in the registry any more, since when
	left   map[chat.UserID]bool      // left on purpose: gone at once
	count  int                       // where there are too many to be named
	large  bool
	dirty  bool // another state is to be read
	change bool // the local users have changed
	last   time.Time
}

// local is a user with sockets on this edge, or one whose last socket was lost a moment ago.
type local struct {
	user    chat.User
	sockets int
	lost    time.Time
	stale   bool // to be taken out of the registry
	left    bool // on purpose
}

// New makes the presence of an edge, or one that is switched off and knows nobody.
func New(on bool, registry *Registry, client redis.UniversalClient, rooms interface {
	ByKey(key stream.Room) *room.Room
}, log *slog.Logger, reg prometheus.Registerer,
) *Presence {
	return &Presence{
		on: on, registry: registry, client: client, rooms: rooms, log: log, metrics: newMetrics(reg),
		tracked: map[stream.Room]*tracked{}, typing: map[typist]time.Time{}, wake: make(chan struct{}, 1),
	}
}

// Enter counts a socket of user in. The first one in a room waits, briefly, until it is known who is
// there on other edges.
func (p *Presence) Enter(ctx context.Context, r *room.Room, user chat.User) {
	if !p.on {
		return
	}
	p.mu.Lock()
	t, first := p.tracked[r.Key], false
	if t == nil {
		first = true
		t = &tracked{
			loaded: make(chan struct{}), local: map[chat.UserID]*local{}, known: map[chat.UserID]chat.User{},
			absent: map[chat.UserID]time.Time{}, left: map[chat.UserID]bool{},
		}
		p.tracked[r.Key] = t
	}
	t.room = r
	l := t.local[user.ID]
	if l == nil {
		l = &local{stale: true}
		t.local[user.ID] = l
	}
	t.change = t.change || l.stale // who was lost and is back in time is in the registry still
	l.user, l.stale, l.left, l.lost = user, false, false, time.Time{}
	l.sockets++
	p.mu.Unlock()
	if first {
		p.load(ctx, r.Key, t)
	}
	select {
	case <-t.loaded:
	case <-ctx.Done():
	}
	p.wakeUp()
}

// load reads who is in a room on other edges: they are there, they do not enter.
func (p *Presence) load(ctx context.Context, key stream.Room, t *tracked) {
	defer close(t.loaded)
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	states, err := p.registry.read(ctx, []stream.Room{key})
	if err != nil {
		p.log.DebugContext(ctx, "presence is away", slog.Any("error", err))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t.large, t.count = states[0].users == nil, states[0].count
	maps.Copy(t.known, states[0].users)
}

// Exit counts a socket of user out. Who is lost may come back: it is there for some seconds more.
func (p *Presence) Exit(r *room.Room, user chat.User, lost bool) {
	if !p.on {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tracked[r.Key]
	if t == nil || t.local[user.ID] == nil {
		return
	}
	l := t.local[user.ID]
	if l.sockets--; l.sockets > 0 {
		return
	}
	if lost {
		l.lost = time.Now()
		return
	}
	l.stale, l.left, t.change = true, true, true
	p.wakeUp()
}

// Members returns who is in the room as this edge knows it, sorted by name; only how many where there
// are too many, nothing where presence is off.
func (p *Presence) Members(r *room.Room) ([]chat.User, *int) {
	if !p.on {
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tracked[r.Key]
	if t == nil {
		return nil, nil
	}
	if t.large {
		count := t.count
		return nil, &count
	}
	all := maps.Clone(t.known)
	for id, l := range t.local {
		if !l.stale {
			all[id] = l.user
		}
	}
	users := slices.SortedFunc(maps.Values(all), func(a, b chat.User) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.ID), string(b.ID)))
	})
	count := len(users)
	return users, &count
}

// Signalled takes in what another edge, or this one, has sent beside the notifications.
func (p *Presence) Signalled(key stream.Room, kind byte, payload string) {
	switch kind {
	case stream.SignalMembers:
		var s signal
		if json.Unmarshal([]byte(payload), &s) != nil || s.Edge == p.registry.edge {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if t := p.tracked[key]; t != nil {
			for _, user := range s.Left {
				t.left[user] = true
			}
			t.dirty = true
			p.wakeUp()
		}
	case stream.SignalTyping:
		var user chat.Author
		if r := p.rooms.ByKey(key); r != nil && json.Unmarshal([]byte(payload), &user) == nil && user.ID != "" {
			p.tellTyping(r, user)
		}
	}
}

func (p *Presence) wakeUp() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run keeps the lease and the registry until ctx ends; then what is here is left to the lease, which
// is shortened, so that whoever comes back elsewhere was never away.
func (p *Presence) Run(ctx context.Context, ready func()) error {
	ready()
	if !p.on {
		<-ctx.Done()
		return nil
	}
	_ = p.lease(ctx, leaseFor)
	ticker := time.NewTicker(roundEvery / 4)
	defer ticker.Stop()
	renewed, refreshed := time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			_ = p.lease(context.WithoutCancel(ctx), grace)
			return nil
		case <-ticker.C:
		case <-p.wake:
		}
		now := time.Now()
		if now.Sub(renewed) >= renewEvery {
			renewed = now
			if p.lease(ctx, leaseFor) != nil {
				renewed = now.Add(roundEvery - renewEvery) // soon: to all others we are dead when it runs out
			}
		}
		all := now.Sub(refreshed) >= refresh
		if all {
			refreshed = now
		}
		if p.round(ctx, now, all) != nil { // others may have cleared away what is here, once they have Redis back
			refreshed = now.Add(roundEvery - refresh)
		}
		p.sendSignals(ctx)
	}
}

func (p *Presence) lease(ctx context.Context, d time.Duration) error {
	err := p.registry.Lease(ctx, d)
	if err != nil {
		p.log.DebugContext(ctx, "the edge's lease was not renewed", slog.Any("error", err))
	}
	return err
}
