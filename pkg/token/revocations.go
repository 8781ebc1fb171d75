package token

import (
	"sync"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
)

// Revocations remember the ended sessions and raised generations of the last token lifetime, as
// auth's lobby tells of them. What is older needs no memory: its tokens have expired. Its size is
// bounded by what auth can end in MaxLifetime (about 150 bytes each); it must not drop any earlier.
type Revocations struct {
	now func() time.Time

	mu          sync.RWMutex
	sessions    map[chat.SessionID]time.Time // when the entry may be forgotten
	generations map[chat.UserID]raised
	swept       time.Time
}

type raised struct {
	generation int64
	forget     time.Time
}

// sweepEvery is how often Apply looks for what may be forgotten.
const sweepEvery = time.Minute

// NewRevocations makes an empty memory. Fill it from the last MaxLifetime of auth's lobby before
// trusting it.
func NewRevocations(now func() time.Time) *Revocations {
	return &Revocations{
		now:         now,
		sessions:    make(map[chat.SessionID]time.Time),
		generations: make(map[chat.UserID]raised),
		swept:       now(),
	}
}

// Apply takes an event of auth's lobby in. Events may come again and in any order; other kinds are
// passed over.
func (r *Revocations) Apply(event lobby.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	// Counted from whichever is later, so that no clock that goes slow or fast forgets too early.
	at := now
	if event.At.After(at) {
		at = event.At.Time
	}
	forget := at.Add(MaxLifetime + Skew)
	switch event.Kind {
	case lobby.SessionEnded:
		r.sessions[event.Session] = forget
	case lobby.GenerationRaised:
		if event.Generation >= r.generations[event.User].generation {
			r.generations[event.User] = raised{generation: event.Generation, forget: forget}
		}
	case lobby.RoomCreated, lobby.RoomUpdated, lobby.RoomDeleted:
	}
	if now.Sub(r.swept) >= sweepEvery {
		r.sweep(now)
	}
}

// Revoked says whether the token with these claims is void, though signed and not yet expired.
func (r *Revocations) Revoked(c Claims) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if _, ended := r.sessions[c.Session]; ended {
		return true
	}
	return c.Generation < r.generations[c.User.ID].generation
}

func (r *Revocations) sweep(now time.Time) {
	r.swept = now
	for id, forget := range r.sessions {
		if !now.Before(forget) {
			delete(r.sessions, id)
		}
	}
	for id, g := range r.generations {
		if !now.Before(g.forget) {
			delete(r.generations, id)
		}
	}
}
