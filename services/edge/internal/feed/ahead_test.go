package feed

import (
	"context"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
)

// Guarantee 3: the log may be ahead of what has been delivered here while a cursor is resumed from it.
func TestAResumeFromALogThatIsAheadOfMemoryEndsAtItsCursor(t *testing.T) {
	l := &log{}
	l.append(600)
	h := newFeed(l)
	r := open(t, h)
	l.append(3) // committed, but not delivered yet
	after := chat.Seq(50)
	s := join(t, h, r, &socket{}, &after)
	if !s.Recovered || s.Cursor != 600 || len(s.Events) != 550 {
		t.Errorf("recovered %v, %d events, cursor %d", s.Recovered, len(s.Events), s.Cursor)
	}
}

// subscriptions are notifications that know only what is subscribed, and are slow to unsubscribe.
type subscriptions struct {
	away

	subscribed map[stream.Room]int
	before     func()
}

func (b *subscriptions) Subscribe(_ context.Context, r stream.Room) error {
	b.subscribed[r]++
	return nil
}

func (b *subscriptions) Unsubscribe(_ context.Context, r stream.Room) {
	if b.before != nil {
		b.before()
	}
	b.subscribed[r]--
}

// A room that is opened again just as it closes idle must be notified of.
func TestARoomReopenedWhileItClosesIsNotifiedOf(t *testing.T) {
	b := &subscriptions{subscribed: map[stream.Room]int{}}
	h := newFeed(&log{})
	h.SetNotifications(b)
	access := roomsapi.Access{ID: 7, Room: &chat.Room{Slug: "a", Log: "L"}}
	first, err := h.Open(t.Context(), chat.DefaultTenant, access)
	if err != nil {
		t.Fatal(err)
	}
	h.Rooms.Release(first)
	b.before = func() {
		b.before = nil
		if _, err := h.Open(t.Context(), chat.DefaultTenant, access); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range h.Rooms.CloseIdle(time.Now().Add(time.Hour)) { // as Run does
		h.unsubscribe(t.Context(), r)
	}
	r := h.Rooms.ByID(7)
	if r == nil || b.subscribed[r.Key] != 1 {
		t.Fatal("the room is open and nobody is notified of it", b.subscribed)
	}
	h.Close(t.Context(), r)
	h.Close(t.Context(), r)
	if b.subscribed[r.Key] != 0 {
		t.Error("a subscription was not taken back once:", b.subscribed)
	}
}
