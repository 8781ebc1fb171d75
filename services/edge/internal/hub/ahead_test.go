package hub

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
)

// Guarantee 3: the log may be ahead of what has been delivered here while a cursor is resumed from it.
func TestAResumeFromALogThatIsAheadOfMemoryEndsAtItsCursor(t *testing.T) {
	l := &log{}
	l.append(600)
	h := newHub(l)
	room := open(t, h)
	l.append(3) // committed, but not delivered yet
	after := chat.Seq(50)
	s := join(t, h, room, &socket{}, &after)
	if !s.Recovered || s.Cursor != 600 || len(s.Events) != 550 {
		t.Errorf("recovered %v, %d events, cursor %d", s.Recovered, len(s.Events), s.Cursor)
	}
}

// heardRooms is a bell that knows only who is subscribed, and is slow to unsubscribe.
type heardRooms struct {
	subscribed map[stream.Room]int
	before     func()
}

func (b *heardRooms) Subscribe(_ context.Context, room stream.Room) error {
	b.subscribed[room]++
	return nil
}

func (b *heardRooms) Unsubscribe(_ context.Context, room stream.Room) {
	if b.before != nil {
		b.before()
	}
	b.subscribed[room]--
}

// A room that is opened again just as it closes idle must hear its bell.
func TestARoomReopenedWhileItClosesIsNotDeaf(t *testing.T) {
	b := &heardRooms{subscribed: map[stream.Room]int{}}
	h := New(&log{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	h.Connect(b, func(*Room) {})
	access := roomsapi.Access{ID: 7, Room: &chat.Room{Slug: "a", Log: "L"}}
	first, err := h.Open(t.Context(), chat.DefaultTenant, access)
	if err != nil {
		t.Fatal(err)
	}
	h.Release(first)
	b.before = func() {
		b.before = nil
		if _, err := h.Open(t.Context(), chat.DefaultTenant, access); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range h.closeIdle(time.Now().Add(time.Hour)) { // as Run does
		r.hushBell(t.Context(), b)
	}
	room := h.ByID(7)
	if room == nil || b.subscribed[room.Key] != 1 {
		t.Fatal("the room is open and nobody hears its bell", b.subscribed)
	}
	h.Close(t.Context(), room)
	h.Close(t.Context(), room)
	if b.subscribed[room.Key] != 0 {
		t.Error("a subscription was not taken back once:", b.subscribed)
	}
}
