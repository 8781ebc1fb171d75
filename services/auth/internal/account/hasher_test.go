package account

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
)

func hasher(t testing.TB, c HashConfig) *Hasher {
	t.Helper()
	h, err := NewHasher(c, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHashesAreArgon2idOfTheConfiguredCost(t *testing.T) {
	h := hasher(t, HashConfig{MemoryKiB: 19456, Iterations: 2, Concurrent: 1})
	hash, err := h.Hash(t.Context(), "sesame")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatal(hash, err)
	}
	for password, want := range map[string]bool{"sesame": true, "Sesame": false, "": false} {
		ok, outdated, err := h.Matches(t.Context(), password, hash)
		if ok != want || outdated || err != nil {
			t.Error(password, ok, outdated, err)
		}
	}
	if other, err := h.Hash(t.Context(), "sesame"); err != nil || other == hash {
		t.Error("two hashes of a password are alike", err)
	}
	if ok, _, err := h.Matches(t.Context(), "", h.Dummy()); ok || err != nil {
		t.Error(ok, err)
	}
	if _, params, err := argon2id.CheckHash("x", h.Dummy()); err != nil || *params != *h.params {
		t.Error("the dummy costs something else:", params, err)
	}
	higher := hasher(t, HashConfig{MemoryKiB: 20000, Iterations: 2, Concurrent: 1})
	if ok, outdated, err := higher.Matches(t.Context(), "sesame", hash); !ok || !outdated || err != nil {
		t.Error("a hash of lower cost:", ok, outdated, err)
	}
}

// 200 at once must not take 200 times the memory.
func TestHashingIsBounded(t *testing.T) {
	const memory, concurrent = 19456, 3
	h := hasher(t, HashConfig{MemoryKiB: memory, Iterations: 1, Concurrent: concurrent, Wait: 300 * time.Millisecond})
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var peak, ok, busy atomic.Int64
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for ticker := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-stop:
				ticker.Stop()
				return
			case <-ticker.C:
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				peak.Store(max(peak.Load(), int64(now.HeapAlloc)-int64(before.HeapAlloc)))
			}
		}
	}()
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			_, err := h.Hash(t.Context(), "sesame")
			switch e := chat.Public(err); {
			case err == nil:
				ok.Add(1)
			case e.Code == chat.CodeUnavailable && e.RetryAfter > 0:
				busy.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	close(stop)
	<-watched
	t.Logf("%d hashed, %d refused, peak %d MiB", ok.Load(), busy.Load(), peak.Load()>>20)
	// The collector frees in arrears: twice what is in use.
	if limit := int64(3 * concurrent * memory << 10); peak.Load() > limit {
		t.Errorf("took %d MiB, more than %d", peak.Load()>>20, limit>>20)
	}
	if ok.Load() < concurrent || busy.Load() < 200-waiting*concurrent-concurrent {
		t.Errorf("%d hashed, %d refused", ok.Load(), busy.Load())
	}
}

func TestWaitingToHashEndsWithTheCaller(t *testing.T) {
	h := hasher(t, HashConfig{MemoryKiB: 64, Iterations: 1, Concurrent: 1, Wait: time.Hour})
	h.slots <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Hash(ctx, "x"); err == nil {
		t.Fatal("hashed without a turn")
	}
	<-h.slots
	if _, err := h.Hash(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if n := h.queue.Load(); n != 0 {
		t.Errorf("%d are still counted as waiting", n)
	}
}
