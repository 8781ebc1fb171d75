package token

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
)

// authStub answers for auth from memory, so that the tests run on synctest's clock.
type authStub struct {
	mu    sync.Mutex
	keys  []PublicKey
	down  bool
	body  string // instead of keys
	delay time.Duration
	asked []string
}

func (a *authStub) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r.URL.String())
	if a.delay > 0 {
		pass(a.delay)
	}
	if a.down || strings.Contains(r.URL.Host, "dead") {
		return nil, errors.New("connection refused")
	}
	body := []byte(a.body)
	if a.body == "" {
		body, _ = EncodeKeys(a.keys)
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

func (a *authStub) set(f func()) { a.mu.Lock(); defer a.mu.Unlock(); f() }

func (a *authStub) count() int { a.mu.Lock(); defer a.mu.Unlock(); return len(a.asked) }

func pub(b byte) PublicKey { return PublicKey{ID: fmt.Sprintf("k%d", b), Key: public(fixedKey(b))} }

// pass lets that time pass in the test's bubble.
func pass(d time.Duration) { <-time.NewTimer(d).C }

// bubble is a test with a time of its own, and its key set.
type bubble struct {
	t     *testing.T
	set   *KeySet
	ready <-chan struct{}
}

// withKeySet runs test beside a running key set in a bubble of its own time.
func withKeySet(t *testing.T, auth *authStub, test func(bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		set, err := NewKeySet([]string{"http://dead:1", "http://auth:1/"}, &http.Client{Transport: auth}, log, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		ready, done := make(chan struct{}), make(chan struct{})
		ctx := t.Context()
		go func() { defer close(done); _ = set.Run(ctx, func() { close(ready) }) }()
		t.Cleanup(func() { <-done })
		synctest.Wait()
		test(bubble{t, set, ready})
	})
}

func isReady(ready <-chan struct{}) bool {
	select {
	case <-ready:
		return true
	default:
		return false
	}
}

func TestKeySetIsReadyOnceItHasKeys(t *testing.T) {
	auth := &authStub{keys: []PublicKey{pub(1)}, down: true}
	withKeySet(t, auth, func(b bubble) {
		t, set, ready := b.t, b.set, b.ready
		if _, err := set.Key(t.Context(), "k1"); chat.CodeOf(err) != chat.CodeUnavailable || isReady(ready) {
			t.Fatal(err, "ready:", isReady(ready))
		}
		pass(time.Minute)
		auth.set(func() { auth.down = false; auth.body = `{"keys":[]}` })
		pass(time.Minute)
		if isReady(ready) {
			t.Fatal("ready without keys")
		}
		auth.set(func() { auth.body = "" })
		pass(lastRetry)
		synctest.Wait()
		if key, err := set.Key(t.Context(), "k1"); err != nil || !key.Equal(pub(1).Key) || !isReady(ready) {
			t.Fatal(err, "ready:", isReady(ready))
		}
	})
}

func TestKeySetFollowsAndKeepsServing(t *testing.T) {
	auth := &authStub{keys: []PublicKey{pub(1), pub(2)}}
	withKeySet(t, auth, func(b bubble) {
		t, set := b.t, b.set
		auth.set(func() { auth.keys = []PublicKey{pub(2), pub(3)} })
		pass(refreshEvery)
		synctest.Wait()
		if _, err := set.Key(t.Context(), "k3"); err != nil {
			t.Error("the published next key:", err)
		}
		if _, err := set.Key(t.Context(), "k1"); chat.CodeOf(err) != chat.CodeUnauthenticated {
			t.Error("the withdrawn key:", err)
		}
		for _, broken := range []func(){
			func() { auth.down = true },
			func() { auth.down, auth.body = false, "<html>" },
			func() { auth.body = `{"keys":[]}` },
		} {
			auth.set(broken)
			pass(10 * refreshEvery)
			if _, err := set.Key(t.Context(), "k2"); err != nil {
				t.Error("auth is broken:", err)
			}
		}
	})
}

func TestUnknownIDsCauseNoStorm(t *testing.T) {
	auth := &authStub{keys: []PublicKey{pub(1)}}
	withKeySet(t, auth, func(b bubble) {
		t, set := b.t, b.set
		pass(refreshEvery / 2)
		before := auth.count()
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				if _, err := set.Key(t.Context(), fmt.Sprint("made-up-", i)); chat.CodeOf(err) != chat.CodeUnauthenticated {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := auth.count() - before; got > 2 { // one fetch tries the dead pod, then the live one
			t.Errorf("1000 made-up ids caused %d requests", got)
		}
	})
}

// Whoever brings a key that was made in a hurry waits for the one fetch, however many they are.
func TestAKeyMadeInAHurryIsFetchedOnDemand(t *testing.T) {
	auth := &authStub{keys: []PublicKey{pub(1)}}
	withKeySet(t, auth, func(b bubble) {
		t, set := b.t, b.set
		pass(refreshEvery / 2)
		auth.set(func() { auth.keys = append(auth.keys, pub(2)); auth.delay = 100 * time.Millisecond })
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := set.Key(t.Context(), "k2"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

func TestAKeySetNeedsAnAddress(t *testing.T) {
	if _, err := NewKeySet(nil, nil, nil, time.Now); err == nil {
		t.Fatal("it was made without one")
	}
}
