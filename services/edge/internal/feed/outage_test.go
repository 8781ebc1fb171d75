package feed

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// outage is a database that is away for a while: heads come from memory and forget after 30 s.
type outage struct {
	mu    sync.Mutex
	until time.Time
	at    time.Time
	head  chat.Seq
}

func (o *outage) page(after chat.Seq) (roomsapi.Range, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Now().Before(o.until) {
		return roomsapi.Range{}, chat.Errorf(chat.CodeUnavailable, "away")
	}
	r := roomsapi.Range{Log: "L", Head: o.head, Floor: 1}
	for seq := after + 1; seq <= o.head; seq++ {
		r.Entries = append(r.Entries, roomsapi.Entry{Seq: seq, Kind: "message", Message: seq, Event: []byte(`{"message":{}}`)})
	}
	return r, nil
}

func (o *outage) Tail(context.Context, chat.RoomID, int, int) (roomsapi.Range, error) {
	return o.page(0)
}

func (o *outage) Entries(_ context.Context, _ chat.RoomID, after chat.Seq, _, _ int) (roomsapi.Range, error) {
	return o.page(after)
}

func (*outage) History(context.Context, chat.RoomID, chat.Seq, int) (roomsapi.History, error) {
	return roomsapi.History{}, nil
}

func (o *outage) Heads(context.Context) ([]roomsapi.Head, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if age := time.Since(o.at); o.head > 1 && age <= 30*time.Second {
		return []roomsapi.Head{{Room: 7, Head: o.head, AgeMS: age.Milliseconds()}}, nil
	}
	return nil, nil
}

func (o *outage) Read(context.Context, []stream.Position) (map[stream.Room][]roomsapi.Entry, error) {
	return nil, nil // too large to be carried
}

func (o *outage) Healthy() bool { return true }
func (o *outage) Renew()        {}

func (o *outage) Subscribe(context.Context, stream.Room) error { return nil }
func (o *outage) Unsubscribe(context.Context, stream.Room)     {}

// Guarantee 3: an acked entry whose fill failed for longer than heads remember.
func TestAnOutageLongerThanTheHeadsRememberLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &outage{head: 1}
		registry := prometheus.NewRegistry()
		f := New(room.NewRooms(registry), o, o, slog.New(slog.DiscardHandler), registry)
		f.SetNotifications(o)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.Run(ctx, func() {}) }()
		r, err := f.Open(ctx, chat.DefaultTenant, roomsapi.Access{ID: 7, Room: &chat.Room{Slug: "a", Log: "L"}})
		if err != nil {
			t.Fatal(err)
		}
		o.mu.Lock()
		o.head, o.at, o.until = 2, time.Now(), time.Now().Add(40*time.Second)
		o.mu.Unlock()
		f.Notified(r.Key, 2)
		time.Sleep(5 * time.Minute)
		if r.Head() != 2 {
			t.Error("five minutes after the bell, with everything well for most of them, the room is at", r.Head())
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// An entry of which nobody told is there once it is late, whenever the heads are asked for.
func TestWhatNoNotificationToldOfComesWhenItIsLate(t *testing.T) {
	for _, before := range []int{100, 400, 700, 999} { // milliseconds before the heads are asked for
		synctest.Test(t, func(t *testing.T) {
			o := &outage{head: 1}
			registry := prometheus.NewRegistry()
			f := New(room.NewRooms(registry), o, o, slog.New(slog.DiscardHandler), registry)
			f.SetNotifications(o)
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- f.Run(ctx, func() {}) }()
			r, err := f.Open(ctx, chat.DefaultTenant, roomsapi.Access{ID: 7, Room: &chat.Room{Slug: "a", Log: "L"}})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(5*time.Second - time.Duration(before)*time.Millisecond)
			o.mu.Lock()
			o.head, o.at = 2, time.Now()
			o.mu.Unlock()
			time.Sleep(lateAfter - 2*time.Millisecond)
			if r.Head() != 1 {
				t.Error("filled before its notification could come")
			}
			time.Sleep(4 * time.Millisecond)
			synctest.Wait()
			if r.Head() != 2 {
				t.Errorf("told of at %d ms: not there when it was late", before)
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
