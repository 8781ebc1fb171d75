package lobby_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/redistest"
)

// ledger is a lobby's log as its service serves it.
type ledger struct {
	mu     sync.Mutex
	name   chat.LogID
	events []lobby.Event
	down   bool
	asked  int
	pruned chat.Seq // up to here events are forgotten
}

func (l *ledger) Post(_ context.Context, _ string, request, answer any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if l.down {
		return errors.New("down")
	}
	r, _ := request.(lobby.EventsRequest)
	page, _ := answer.(*lobby.Page)
	page.Log, page.Head = l.name, chat.Seq(len(l.events))
	for _, e := range l.events {
		if e.Seq > max(r.After, l.pruned) && len(page.Events) < r.Limit && (r.MaxAgeMS == 0 || time.Since(e.At.Time) < time.Duration(r.MaxAgeMS)*time.Millisecond) {
			page.Events = append(page.Events, e)
		}
	}
	return nil
}

func (l *ledger) add(age time.Duration) lobby.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := lobby.Event{Seq: chat.Seq(len(l.events) + 1), Kind: lobby.SessionEnded, At: chat.At(time.Now().Add(-age))}
	l.events = append(l.events, e)
	return e
}

// diary remembers the seqs that it is told.
type diary struct {
	mu   sync.Mutex
	seqs []chat.Seq
}

func (d *diary) HandleLobby(_ context.Context, e lobby.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seqs = append(d.seqs, e.Seq)
}

func (d *diary) is(want ...chat.Seq) func() bool {
	return func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return slices.Equal(d.seqs, want)
	}
}

func run(t *testing.T, component func(context.Context, func()) error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done, ready := make(chan error, 1), make(chan struct{})
	go func() { done <- component(ctx, func() { close(ready) }) }()
	<-ready
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
	}
}

func TestFollower(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	redistest.Each(t, func(t *testing.T, client redis.UniversalClient) {
		name := "test-" + rand.Text()
		log := &ledger{name: chat.LogID(rand.Text())}
		log.add(time.Hour)
		log.add(time.Second)
		seen := &diary{}
		f := lobby.NewFollower(log, client, name, time.Minute, seen, quiet)
		run(t, f.Run)
		if !seen.is(2)() {
			t.Fatal("not ready with what the last minute brought:", seen.seqs)
		}
		p := lobby.NewPublisher(client, name, quiet)
		run(t, p.Run)

		p.Announce(log.name, []lobby.Event{log.add(0)})
		within(t, "an announced event", seen.is(2, 3))

		log.add(0) // never announced
		p.Announce(log.name, []lobby.Event{log.add(0)})
		within(t, "events around a hole", seen.is(2, 3, 4, 5))

		log.add(0) // Redis knows nothing of it
		within(t, "an event that Redis never had", seen.is(2, 3, 4, 5, 6))

		log.mu.Lock()
		log.down = true
		log.mu.Unlock()
		before := f.Heard()
		p.Announce(log.name, []lobby.Event{log.add(0)})
		within(t, "an event while the service is down", seen.is(2, 3, 4, 5, 6, 7))
		if before.IsZero() || f.Heard().After(time.Now()) {
			t.Error("heard", before)
		}

		log.mu.Lock()
		log.down, log.name, log.events = false, chat.LogID(rand.Text()), nil
		log.mu.Unlock()
		log.add(0)
		within(t, "the first event of a restored log", seen.is(2, 3, 4, 5, 6, 7, 1))

		log.mu.Lock()
		log.down, log.pruned = true, 3
		log.mu.Unlock()
		for range 3 {
			log.add(0)
		}
		log.mu.Lock()
		log.down = false
		log.mu.Unlock()
		within(t, "what is left after being away for too long", seen.is(2, 3, 4, 5, 6, 7, 1, 4))
	})
}
