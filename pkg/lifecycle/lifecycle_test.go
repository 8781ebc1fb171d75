package lifecycle

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

type fn func(ctx context.Context, ready func()) error

func (f fn) Run(ctx context.Context, ready func()) error { return f(ctx, ready) }

func TestStopsInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var log []string
		note := func(s string) { mu.Lock(); log = append(log, s); mu.Unlock() }
		part := func(n string) Part {
			return Part{n, fn(func(ctx context.Context, ready func()) error {
				note("start " + n)
				ready()
				<-ctx.Done()
				note("stop " + n)
				return ctx.Err()
			})}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- Run(ctx, func() { note("ready") }, part("bus"), part("hub"), part("http")) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		want := "start bus,start hub,start http,ready,stop http,stop hub,stop bus"
		if got := strings.Join(log, ","); got != want {
			t.Fatalf("got %s\nwant %s", got, want)
		}
	})
}

func TestAFailureStopsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("boom")
		var stopped []string
		ok := Part{"ok", fn(func(ctx context.Context, ready func()) error {
			ready()
			<-ctx.Done()
			stopped = append(stopped, "ok")
			return nil
		})}
		bad := Part{"bad", fn(func(ctx context.Context, ready func()) error { return boom })}
		err := Run(t.Context(), func() { t.Error("never ready") }, ok, bad)
		if !errors.Is(err, boom) || !slices.Equal(stopped, []string{"ok"}) {
			t.Fatal(err, stopped)
		}
	})
}
