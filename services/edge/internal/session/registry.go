package session

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/access"
)

// Registry holds the open sessions of an edge and keeps their heartbeats.
type Registry struct {
	heartbeat time.Duration
	due       []beat // of beat alone

	mu       sync.Mutex
	sessions map[*Session]int // the second of its heartbeat in which each is pinged
	empty    chan struct{}    // closed and made anew as the last one leaves
}

// beat is what a second brings to a session.
type beat struct {
	session *Session
	pinged  bool
}

// NewRegistry makes a registry; Run keeps the heartbeats.
func NewRegistry(heartbeat time.Duration) *Registry {
	return &Registry{heartbeat: heartbeat, sessions: map[*Session]int{}, empty: make(chan struct{})}
}

// Add takes a session in. The pings of many are spread over the heartbeat.
func (r *Registry) Add(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[s] = rand.IntN(r.beats()) //nolint:gosec // only spreads
}

// Remove forgets a session.
func (r *Registry) Remove(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, s)
	if len(r.sessions) == 0 {
		close(r.empty)
		r.empty = make(chan struct{})
	}
}

// All returns the open sessions.
func (r *Registry) All() []*Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*Session, 0, len(r.sessions))
	for s := range r.sessions {
		all = append(all, s)
	}
	return all
}

// Each implements access.Sockets.
func (r *Registry) Each(do func(access.Socket)) {
	for _, s := range r.All() {
		do(s)
	}
}

func (r *Registry) beats() int { return max(1, int(r.heartbeat/time.Second)) }

// Run looks after the sessions once a second until ctx ends.
func (r *Registry) Run(ctx context.Context, ready func()) error {
	ready()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	ping := wire.AppendPing(nil)
	for second := 0; ; second++ {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			r.beat(now, second%r.beats(), ping)
		}
	}
}

func (r *Registry) beat(now time.Time, second int, ping []byte) {
	r.mu.Lock()
	r.due = r.due[:0]
	for s, at := range r.sessions {
		r.due = append(r.due, beat{s, at == second})
	}
	r.mu.Unlock()
	for _, t := range r.due {
		if t.pinged {
			t.session.Beat(now, ping)
		} else {
			t.session.Beat(now, nil)
		}
	}
	clear(r.due)
}

// Drain tells the sessions, in batches over the first half of spread, to reconnect elsewhere within
// the other half, closes whom that leaves, and returns when all have ended; those that have not when ctx
// does are cut.
func (r *Registry) Drain(ctx context.Context, spread time.Duration) {
	all := r.All()
	const batches = 10
	pause := time.NewTicker(max(spread/2/batches, time.Millisecond))
	defer pause.Stop()
	for batch := range 2 * batches {
		if batch < batches {
			for _, s := range all[len(all)*batch/batches : len(all)*(batch+1)/batches] {
				s.reply(wire.Draining{Type: "draining", AfterMS: (spread / 2).Milliseconds()})
			}
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
	for _, s := range r.All() {
		s.Close(wire.CloseDrained)
	}
	r.waitEmpty(ctx)
	for _, s := range r.All() {
		s.outbox.Abort()
	}
}

func (r *Registry) waitEmpty(ctx context.Context) {
	for {
		r.mu.Lock()
		left, empty := len(r.sessions), r.empty
		r.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-empty:
		case <-ctx.Done():
			return
		}
	}
}
