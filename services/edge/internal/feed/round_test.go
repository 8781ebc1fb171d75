package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// world is a room's log in the database, what of it Redis has, and the bells.
type world struct {
	mu      sync.Mutex
	log     []roomsapi.Entry
	redis   []roomsapi.Entry
	away    bool // Redis
	down    bool // rooms
	reads   int  // of the log
	age     time.Duration
	healthy bool
	renewed int
	name    chat.LogID
}

func (w *world) commit(n int, carried bool) chat.Seq {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range n {
		seq := chat.Seq(len(w.log) + 1)
		e := roomsapi.Entry{Seq: seq, Kind: "message", Message: seq, Event: json.RawMessage(fmt.Sprintf(`{"seq":%d}`, seq))}
		w.log = append(w.log, e)
		if carried {
			w.redis = append(w.redis, e)
		}
	}
	return chat.Seq(len(w.log))
}

func (w *world) Tail(ctx context.Context, r chat.RoomID, limit, bytes int) (roomsapi.Range, error) {
	return w.Entries(ctx, r, 0, limit, bytes)
}

func (w *world) Entries(_ context.Context, _ chat.RoomID, after chat.Seq, _, _ int) (roomsapi.Range, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return roomsapi.Range{}, chat.Errorf(chat.CodeUnavailable, "down")
	}
	w.reads++
	return roomsapi.Range{Log: w.name, Head: chat.Seq(len(w.log)), Floor: 1, Entries: w.log[min(int(after), len(w.log)):]}, nil
}

func (*world) History(context.Context, chat.RoomID, chat.Seq, int) (roomsapi.History, error) {
	return roomsapi.History{}, nil
}

func (w *world) Heads(context.Context) ([]roomsapi.Head, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return nil, errors.New("down")
	}
	return []roomsapi.Head{{Room: 7, Head: chat.Seq(len(w.log)), AgeMS: w.age.Milliseconds()}, {Room: 99, Head: 5}}, nil
}

func (w *world) Read(_ context.Context, positions []stream.Position) (map[stream.Room][]roomsapi.Entry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return nil, errors.New("away")
	}
	news := map[stream.Room][]roomsapi.Entry{}
	for _, p := range positions {
		for _, e := range w.redis {
			if e.Seq > p.After {
				news[p.Room] = append(news[p.Room], e)
			}
		}
	}
	return news, nil
}

func (w *world) Healthy() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.healthy }
func (w *world) Renew()        { w.mu.Lock(); defer w.mu.Unlock(); w.renewed++ }

func (w *world) Subscribe(context.Context, stream.Room) error { return nil }
func (w *world) Unsubscribe(context.Context, stream.Room)     {}

func (w *world) set(change func()) { w.mu.Lock(); defer w.mu.Unlock(); change() }

// counts says how often the log was read, and how often the bells were renewed.
func (w *world) counts() (reads, renewed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reads, w.renewed
}

// inBubble runs a test of a feed and one open room, in virtual time.
func inBubble(t *testing.T, test func(t *testing.T, w *world, f *Feed, r *room.Room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		f := run(t, w, w)
		r, err := f.Open(t.Context(), chat.DefaultTenant, access())
		if err != nil {
			t.Fatal(err)
		}
		test(t, w, f, r)
	})
}

func newWorld() *world { return &world{healthy: true, age: 2 * time.Second, name: "L"} }

func access() roomsapi.Access {
	return roomsapi.Access{ID: 7, Room: &chat.Room{Slug: "a", Log: "L"}}
}

// run runs a feed that reads its logs through log.
func run(t *testing.T, w *world, log Log) *Feed {
	t.Helper()
	registry := prometheus.NewRegistry()
	f := New(room.NewRooms(registry), log, w, slog.New(slog.DiscardHandler), registry)
	f.SetNotifications(w)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, func() {}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

// reached checks the room's head once the feed has nothing left to do but wait for the time.
func reached(t *testing.T, r *room.Room, seq chat.Seq) {
	t.Helper()
	synctest.Wait()
	if head := r.Head(); head != seq {
		t.Fatalf("the head is %d and not %d", head, seq)
	}
}

func TestANotificationBringsWhatRedisHas(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, f *Feed, r *room.Room) {
		before, _ := w.counts()
		head := w.commit(3, true)
		f.Notified(r.Key, head)
		reached(t, r, head)
		if reads, _ := w.counts(); reads != before {
			t.Error("the log was read though Redis had all")
		}
	})
}

func TestWhatRedisLacksIsFilled(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, f *Feed, r *room.Room) {
		w.commit(2, true)
		w.commit(2, false) // refused, or too large to be carried
		f.Notified(r.Key, w.commit(2, true))
		reached(t, r, 6)

		f.Notified(r.Key, w.commit(1, false)) // the bell rang, but the stream has nothing
		reached(t, r, 7)

		w.set(func() { w.redis = nil }) // Redis forgot everything
		f.Notified(r.Key, w.commit(1, true))
		reached(t, r, 8)

		w.set(func() { w.away = true })
		w.commit(1, true)
		f.Notified(r.Key, 0)
		reached(t, r, 9)
	})
}

func TestWithoutNotificationsTheHeadsTell(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *Feed, r *room.Room) {
		w.set(func() { w.healthy, w.age = false, 0 })
		head := w.commit(5, false)
		time.Sleep(headsEvery)
		reached(t, r, head)
		if _, renewed := w.counts(); renewed != 0 {
			t.Error("renewed a connection that is known to be broken")
		}
	})
}

func TestANotificationThatDidNotComeRenewsTheConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *Feed, r *room.Room) {
		head := w.commit(1, false)
		time.Sleep(headsEvery)
		reached(t, r, head)
		if _, renewed := w.counts(); renewed != 1 {
			t.Error("a deaf connection was renewed", renewed, "times")
		}
	})
}

func TestNewEntriesAreLeftToTheNotification(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *Feed, r *room.Room) {
		w.set(func() { w.age = 300 * time.Millisecond })
		w.commit(1, false)
		time.Sleep(headsEvery + lateAfter/2)
		reached(t, r, 0)
		if _, renewed := w.counts(); renewed != 0 {
			t.Error("renewed the connection before its bell was late")
		}
	})
}

// A room in which somebody speaks all the time is late too, when no bell brings it.
func TestABusyRoomIsFilledByTheSecondAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *Feed, r *room.Room) {
		w.set(func() { w.age = 0 })
		for range 30 {
			w.commit(1, false)
			time.Sleep(100 * time.Millisecond)
		}
		if head := r.Head(); head < 8 {
			t.Error("after three seconds the room is at", head)
		}
	})
}

func TestAFillThatFailsIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, f *Feed, r *room.Room) {
		w.set(func() { w.down = true })
		f.Notified(r.Key, w.commit(1, false))
		reached(t, r, 0)
		w.set(func() { w.down = false })
		time.Sleep(headsEvery)
		reached(t, r, 1)
	})
}

func TestHeldBackNothingIsDeliveredAndAfterwardsAll(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, f *Feed, r *room.Room) {
		f.Rooms.Hold(true)
		f.Notified(r.Key, w.commit(1, true))
		time.Sleep(time.Minute)
		reached(t, r, 0)
		f.Rooms.Hold(false)
		f.Resume()
		reached(t, r, 1)
	})
}

func TestALogThatWentBackInTimeClosesItsRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, f *Feed, r *room.Room) {
		w.set(func() { w.name = "M" })
		f.Notified(r.Key, w.commit(1, false))
		synctest.Wait()
		if f.Rooms.ByID(7) != nil {
			t.Fatal("still open")
		}
	})
}

// slowLog answers for the tail only after a while, so that bells ring meanwhile.
type slowLog struct {
	*world

	answer chan struct{}
}

func (l slowLog) Tail(ctx context.Context, r chat.RoomID, limit, bytes int) (roomsapi.Range, error) {
	tail, err := l.world.Tail(ctx, r, limit, bytes)
	<-l.answer
	return tail, err
}

func TestNotificationsWhileARoomOpensAreNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.commit(3, true)
		l := slowLog{w, make(chan struct{})}
		f := run(t, w, l)
		opened := make(chan *room.Room)
		go func() {
			r, err := f.Open(t.Context(), chat.DefaultTenant, access())
			if err != nil {
				t.Error(err)
			}
			opened <- r
		}()
		synctest.Wait() // the tail, which ends at 3, is on its way
		key := stream.Room{Tenant: chat.DefaultTenant, Log: "L"}
		f.Notified(key, 0)
		f.Notified(key, w.commit(2, true))
		close(l.answer)
		r := <-opened
		reached(t, r, 5)
		r.Grant(user, roomsapi.Access{ForAll: true})
		events, _, _, err := r.Since(0, user)
		if err != nil || len(events) != 5 {
			t.Error("the tail has doubles or holes:", len(events), err)
		}
	})
}
