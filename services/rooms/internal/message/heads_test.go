package message

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// recent is a store that knows heads alone.
type recent struct {
	Store

	mu     sync.Mutex
	asked  []time.Duration
	answer []roomsapi.Head
	err    error
}

func (r *recent) Recent(_ context.Context, within time.Duration) ([]roomsapi.Head, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, within)
	return r.answer, r.err
}

func (r *recent) set(err error, answer ...roomsapi.Head) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.answer = err, answer
}

func TestHeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &recent{err: errors.New("away")}
		h := newHeads(store, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), time.Now)
		ctx, stop := context.WithCancel(t.Context())
		ready, done := false, make(chan error)
		go func() { done <- h.Run(ctx, func() { ready = true }) }()
		show := func(after time.Duration) string {
			time.Sleep(after)
			synctest.Wait()
			all := h.Recent()
			slices.SortFunc(all, func(a, b roomsapi.Head) int { return int(a.Room - b.Room) })
			return fmt.Sprint(all)
		}
		if got := show(0); got != "[]" || ready {
			t.Error(got, ready)
		}
		store.set(nil, roomsapi.Head{Room: 1, Head: 5, AgeMS: 200}, roomsapi.Head{Room: 2, Head: 7, AgeMS: 29_000})
		if got := show(600 * time.Millisecond); got != "[{1 5 300} {2 7 29100}]" || !ready {
			t.Error(got, ready)
		}
		// What this pod commits is known at once, and no answer that is older takes it back.
		h.note(1, 6)
		store.set(nil, roomsapi.Head{Room: 1, Head: 5, AgeMS: 200})
		if got := show(time.Second); got != "[{1 6 1000}]" {
			t.Error(got) // and room 2 is forgotten
		}
		// After a time without answers the next question covers it.
		store.set(errors.New("away"))
		show(10 * time.Second)
		store.set(nil, roomsapi.Head{Room: chat.RoomID(3), Head: 1, AgeMS: 9000})
		if got := show(time.Second); got != "[{1 6 12000} {3 1 9600}]" {
			t.Error(got)
		}
		longest := time.Duration(0)
		for _, within := range store.asked[3:] {
			longest = max(longest, within)
		}
		if store.asked[0] != headsKept || store.asked[2] != headsEvery+headsMargin || longest < 10*time.Second+headsMargin {
			t.Error(store.asked)
		}
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
