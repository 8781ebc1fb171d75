package keys

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/token"
)

// memory is a store that several rings share.
type memory struct {
	mu   sync.Mutex
	keys []Key
	down bool
}

func (m *memory) SigningKeys(context.Context) ([]Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return nil, errors.New("down")
	}
	return slices.Clone(m.keys), nil
}

func (m *memory) ChangeSigningKeys(_ context.Context, change func([]Key) ([]Key, error)) ([]Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys, err := change(slices.Clone(m.keys))
	if err != nil {
		return nil, err
	}
	m.keys = keys
	return slices.Clone(keys), nil
}

func (m *memory) set(down bool) { m.mu.Lock(); defer m.mu.Unlock(); m.down = down }

const every = 6 * time.Hour

// run starts a ring in the test's bubble.
func run(t *testing.T, store Store) *Ring {
	t.Helper()
	r := NewRing(store, "parley", every, slog.New(slog.DiscardHandler), time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	done, ready := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() { cancel(); <-done })
	<-ready
	return r
}

func sign(t *testing.T, r *Ring) string {
	t.Helper()
	raw, err := r.Sign(token.Claims{
		Tenant: chat.DefaultTenant, User: chat.User{ID: "u", Name: "Ada", Kind: chat.KindUser}, Session: "s",
		Issued: time.Now().Truncate(time.Second), Expires: time.Now().Truncate(time.Second).Add(token.MaxLifetime),
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func verify(t *testing.T, keys token.Keys, raw string) error {
	t.Helper()
	v, err := token.NewVerifier("parley", keys, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(t.Context(), raw)
	return err
}

// pass lets that time pass in the test's bubble.
func pass(d time.Duration) { <-time.NewTimer(d).C }

func signing(r *Ring) string { r.mu.RLock(); defer r.mu.RUnlock(); return r.signID }

func published(t *testing.T, r *Ring) []string {
	t.Helper()
	keys, err := token.DecodeKeys(r.Set())
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, 0, len(keys))
	for _, k := range keys {
		ids = append(ids, k.ID)
	}
	return ids
}

func TestPodsShareTheirKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		var rings [4]*Ring
		var wg sync.WaitGroup
		for i := range rings {
			wg.Go(func() { rings[i] = run(t, store) })
		}
		wg.Wait()
		pass(reloadEvery + time.Second)
		want := published(t, rings[0])
		if len(want) != 2 {
			t.Fatalf("current and next are published, got %v", want)
		}
		for _, r := range rings {
			if got := published(t, r); !slices.Equal(got, want) || signing(r) != signing(rings[0]) {
				t.Errorf("%v, want %v", got, want)
			}
			if err := verify(t, r, sign(t, rings[0])); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestKeysRotateOnSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		signs, other := run(t, store), run(t, store)
		first := published(t, signs)
		before := signing(signs)
		pass(every - 2*time.Second)
		if signing(signs) != before {
			t.Fatal("rotated early")
		}
		old := sign(t, signs)
		pass(2*time.Second + 2*reloadEvery)
		synctest.Wait()
		if signing(signs) == before || !slices.Contains(first, signing(signs)) {
			t.Errorf("signs with %s; %s was current, published were %v", signing(signs), before, first)
		}
		if got := published(t, other); len(got) != 3 || signing(other) != signing(signs) {
			t.Errorf("current, next and retired are published, got %v", got)
		}
		pass(token.MaxLifetime - 2*time.Second - 2*reloadEvery - time.Second)
		if err := verify(t, other, old); err != nil {
			t.Error("a token of the retired key, in its last second:", err)
		}
		pass(10 * time.Minute)
		if got := published(t, other); len(got) != 2 || slices.Contains(got, before) {
			t.Errorf("the retired key is published for ever: %v", got)
		}
	})
}

// A next key signs only once every service had the time to learn of it, except at the very start.
func TestRotatingByHandWaitsForVerifiers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		r := run(t, store)
		command := NewRing(store, "", every, slog.New(slog.DiscardHandler), time.Now)
		first := signing(r)
		if at, err := command.Rotate(t.Context()); err != nil || !at.Equal(time.Now()) {
			t.Fatal(at, err)
		}
		pass(reloadEvery + time.Second)
		second := signing(r)
		if second == first {
			t.Fatal("the pod did not notice")
		}
		at, err := command.Rotate(t.Context())
		if wait := time.Until(at); err != nil || wait <= 0 || wait > settle {
			t.Fatal(wait, err)
		}
		if again, err := command.Rotate(t.Context()); err != nil || !again.Equal(at) {
			t.Fatal("asked twice it is another time:", again, at, err)
		}
		pass(time.Until(at) - time.Second)
		if signing(r) != second {
			t.Error("the key signs before it is known")
		}
		pass(2 * (reloadEvery + time.Second))
		if signing(r) == second {
			t.Error("the key never took over")
		}
		pass(time.Hour)
		third := signing(r)
		if at, err := command.Rotate(t.Context()); err != nil || !at.Equal(time.Now()) {
			t.Fatal(at, err)
		}
		pass(reloadEvery + time.Second)
		if signing(r) == third {
			t.Error("a settled key did not take over at once")
		}
	})
}

func TestARingGoesOnWithoutItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		r := run(t, store)
		store.set(true)
		pass(time.Hour)
		if err := verify(t, r, sign(t, r)); err != nil {
			t.Error(err)
		}
		store.set(false)
		pass(every)
		if len(published(t, r)) != 3 {
			t.Error("it did not come back")
		}
	})
}

func TestARingWithoutKeysSaysSo(t *testing.T) {
	r := NewRing(&memory{down: true}, "parley", every, slog.New(slog.DiscardHandler), time.Now)
	if err := r.Run(t.Context(), func() { t.Error("ready") }); err == nil {
		t.Error("ran without a store")
	}
	if _, err := r.Sign(token.Claims{}); chat.CodeOf(err) != chat.CodeUnavailable {
		t.Error(err)
	}
	if _, err := r.Key(t.Context(), "x"); chat.CodeOf(err) != chat.CodeUnavailable || r.Set() != nil {
		t.Error(err)
	}
}
