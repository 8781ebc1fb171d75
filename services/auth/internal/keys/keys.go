// Package keys holds the keys that tokens are signed with: one current, one next that is published
// already, and the retired ones whose tokens may still be about. All pods share them by the store.
//
// Private keys are kept in the store in plain. Whoever reads auth's database can sign in as anybody
// by its other tables too, so a second secret to unlock them would guard little; encrypt the disk.
package keys

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/token"
)

// Key is one signing key. It is next until Activated is set, then current until Retires has come
// and another has taken over, then retired.
type Key struct {
	ID        string
	Private   ed25519.PrivateKey
	Created   time.Time
	Activated time.Time // zero for the next one
	Retires   time.Time // when another is to take over; zero for never
}

// Store keeps the keys.
type Store interface {
	// SigningKeys returns all keys, in any order.
	SigningKeys(ctx context.Context) ([]Key, error)
	// ChangeSigningKeys replaces all keys by what change makes of them, and returns those. Of several
	// callers at once one comes after the other. An error of change is returned as it is and changes nothing.
	ChangeSigningKeys(ctx context.Context, change func([]Key) ([]Key, error)) ([]Key, error)
}

const (
	// reloadEvery is how soon each pod notices what another changed.
	reloadEvery = 5 * time.Second
	// settle is how long a key is published before it signs: verifiers refresh every minute.
	settle = 2 * time.Minute
	// outlive is how long a retired key is published: until its last token has expired, which a pod
	// may have signed shortly after for not having noticed.
	outlive = token.MaxLifetime + token.Skew + time.Minute
)

// Ring is the keys as this pod knows them. It is a lifecycle component, ready once it has keys, and
// implements token.Keys. Run may be left out for a short-lived command that only calls Rotate.
type Ring struct {
	store  Store
	issuer string
	every  time.Duration
	log    *slog.Logger
	now    func() time.Time

	mu     sync.RWMutex
	public map[string]ed25519.PublicKey
	set    []byte // JSON Web Key Set
	signer *token.Signer
	signID string
	signs  Key       // without its private part
	loaded time.Time // when the store last told
}

// NewRing makes a ring whose keys are each current for the time every, 0 for ever.
func NewRing(store Store, issuer string, every time.Duration, log *slog.Logger, now func() time.Time) *Ring {
	return &Ring{store: store, issuer: issuer, every: every, log: log, now: now}
}

// Register has it told how old the keys are.
func (r *Ring) Register(reg prometheus.Registerer) {
	moment := func(name, help string, at func() time.Time) {
		metric.Timestamp(reg, "parley_auth_signing_"+name+"_timestamp_seconds", help, nil, func() time.Time {
			r.mu.RLock()
			defer r.mu.RUnlock()
			return at()
		})
	}
	moment("key_created", "When the key was made that signs.", func() time.Time { return r.signs.Created })
	moment("key_retires", "When another key is to take over; 0 is never.", func() time.Time { return r.signs.Retires })
	moment("keys_loaded", "When the database last told the keys.", func() time.Time { return r.loaded })
}

// Run follows the store and rotates what is due, until ctx ends.
func (r *Ring) Run(ctx context.Context, ready func()) error {
	if err := r.Load(ctx); err != nil {
		return err
	}
	ready()
	ticker := time.NewTicker(reloadEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		// Without the store we sign with what we have: the store is needed to sign in anyway.
		if err := r.Load(ctx); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "loading signing keys failed", slog.Any("error", err))
		}
	}
}

// Load takes the store's keys, after doing what is due: making missing ones, rotating, forgetting.
func (r *Ring) Load(ctx context.Context) error {
	keys, err := r.store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("loading keys: %w", err)
	}
	if advanced, due := r.advance(keys); due {
		if keys, err = r.store.ChangeSigningKeys(ctx, func(keys []Key) ([]Key, error) {
			advanced, _ = r.advance(keys)
			return advanced, nil
		}); err != nil {
			return fmt.Errorf("rotating keys: %w", err)
		}
		r.log.InfoContext(ctx, "signing keys changed", slog.Int("keys", len(keys)))
	}
	return r.take(keys)
}

// Rotate has the next key take over and returns when that is: at once, unless it has not been
// published for long enough that every service knows it.
func (r *Ring) Rotate(ctx context.Context) (time.Time, error) {
	if err := r.Load(ctx); err != nil { // so that there is a current key and a next one
		return time.Time{}, err
	}
	var at time.Time
	keys, err := r.store.ChangeSigningKeys(ctx, func(keys []Key) ([]Key, error) {
		now := r.now()
		current, next := find(keys)
		if current < 0 || next < 0 {
			return nil, errors.New("keys vanished while rotating them")
		}
		at = now
		if known := keys[next].Created.Add(settle); known.After(now) && !firstPair(keys, current, next) {
			at = known
		}
		keys[current].Retires = at
		keys, _ = r.advance(keys)
		return keys, nil
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("rotating keys: %w", err)
	}
	return at, r.take(keys)
}

// firstPair says that current and next were made together: then nobody knows one without the other.
func firstPair(keys []Key, current, next int) bool {
	return keys[next].Created.Equal(keys[current].Created)
}

// advance does what is due at this moment and says whether anything was.
func (r *Ring) advance(keys []Key) (advanced []Key, due bool) {
	now := r.now()
	current, _ := find(keys)
	kept := make([]Key, 0, len(keys)+2)
	for i, k := range keys {
		gone := i != current && !k.Activated.IsZero() && now.Sub(k.Retires) > outlive
		if !gone {
			kept = append(kept, k)
		}
	}
	due = len(kept) != len(keys)
	keys = kept
	current, next := find(keys)
	if next < 0 {
		keys, next, due = append(keys, r.newKey(now)), len(keys), true
	}
	if current < 0 || !keys[current].Retires.IsZero() && !now.Before(keys[current].Retires) {
		keys[next].Activated = now
		if r.every > 0 {
			keys[next].Retires = now.Add(r.every)
		}
		keys, due = append(keys, r.newKey(now)), true
	}
	return keys, due
}

// find returns the places of the current and the next key, -1 for none.
func find(keys []Key) (current, next int) {
	current, next = -1, -1
	for i, k := range keys {
		switch {
		case k.Activated.IsZero():
			next = i
		case current < 0 || k.Activated.After(keys[current].Activated):
			current = i
		}
	}
	return current, next
}

func (r *Ring) newKey(now time.Time) Key {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err) // the system's randomness never fails
	}
	return Key{ID: rand.Text(), Private: private, Created: now}
}

// take makes keys those of this pod.
func (r *Ring) take(keys []Key) error {
	public := make(map[string]ed25519.PublicKey, len(keys))
	list := make([]token.PublicKey, 0, len(keys))
	for _, k := range keys {
		pub, ok := k.Private.Public().(ed25519.PublicKey)
		if !ok {
			return fmt.Errorf("key %s is malformed", k.ID)
		}
		public[k.ID] = pub
		list = append(list, token.PublicKey{ID: k.ID, Key: pub})
	}
	set, err := token.EncodeKeys(list)
	if err != nil {
		return err
	}
	current, _ := find(keys)
	if current < 0 {
		return errors.New("there is no current signing key")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if id := keys[current].ID; id != r.signID {
		signer, err := token.NewSigner(r.issuer, id, keys[current].Private)
		if err != nil {
			return err
		}
		r.signer, r.signID = signer, id
	}
	r.public, r.set, r.loaded = public, set, r.now()
	r.signs = Key{ID: keys[current].ID, Created: keys[current].Created, Activated: keys[current].Activated, Retires: keys[current].Retires}
	return nil
}

// Key implements token.Keys.
func (r *Ring) Key(_ context.Context, id string) (ed25519.PublicKey, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if key, ok := r.public[id]; ok {
		return key, nil
	}
	if r.public == nil {
		return nil, chat.Errorf(chat.CodeUnavailable, "the signing keys are not known yet: try again in a moment")
	}
	return nil, chat.Errorf(chat.CodeUnauthenticated, "the token's key is unknown")
}

// Sign signs with the current key.
func (r *Ring) Sign(c token.Claims) (string, error) {
	r.mu.RLock()
	signer := r.signer
	r.mu.RUnlock()
	if signer == nil {
		return "", chat.Errorf(chat.CodeUnavailable, "the signing keys are not known yet: try again in a moment")
	}
	return signer.Sign(c)
}

// Set returns the public keys as a JSON Web Key Set, nil before there are any.
func (r *Ring) Set() []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.set
}
