package tailer

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
	"go.uber.org/goleak"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/services/edge/internal/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

func (w *world) Tail(ctx context.Context, room chat.RoomID, limit, bytes int) (roomsapi.Range, error) {
	return w.Entries(ctx, room, 0, limit, bytes)
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

// inBubble runs a test of a tailer and one open room, in virtual time.
func inBubble(t *testing.T, test func(t *testing.T, w *world, tail *Tailer, h *hub.Hub, room *hub.Room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		tail, h := run(t, w, w)
		room, err := h.Open(t.Context(), chat.DefaultTenant, access())
		if err != nil {
			t.Fatal(err)
		}
		test(t, w, tail, h, room)
	})
}

func newWorld() *world { return &world{healthy: true, age: 2 * time.Second, name: "L"} }

func access() roomsapi.Access {
	return roomsapi.Access{ID: 7, Room: &chat.Room{Slug: "a", Log: "L"}}
}

// run runs a tailer over a hub that reads its logs through log.
func run(t *testing.T, w *world, log hub.Log) (*Tailer, *hub.Hub) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	h := hub.New(log, quiet, prometheus.NewRegistry())
	tail := New(w, h, w, quiet, prometheus.NewRegistry())
	tail.SetBells(w)
	h.Connect(w, tail.Look)
	tail.Renewed = func(ctx context.Context, room *hub.Room) { h.Close(ctx, room) }
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tail.Run(ctx, func() {}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return tail, h
}

// reached checks the room's head once the tailer has nothing left to do but wait for the time.
func reached(t *testing.T, room *hub.Room, seq chat.Seq) {
	t.Helper()
	synctest.Wait()
	if head := room.Head(); head != seq {
		t.Fatalf("the head is %d and not %d", head, seq)
	}
}

func TestTheBellBringsWhatRedisHas(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, tail *Tailer, _ *hub.Hub, room *hub.Room) {
		before, _ := w.counts()
		head := w.commit(3, true)
		tail.Rang(room.Key, head)
		reached(t, room, head)
		if reads, _ := w.counts(); reads != before {
			t.Error("the log was read though Redis had all")
		}
	})
}

func TestWhatRedisLacksIsFilled(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, tail *Tailer, _ *hub.Hub, room *hub.Room) {
		w.commit(2, true)
		w.commit(2, false) // refused, or too large to be carried
		tail.Rang(room.Key, w.commit(2, true))
		reached(t, room, 6)

		tail.Rang(room.Key, w.commit(1, false)) // the bell rang, but the stream has nothing
		reached(t, room, 7)

		w.set(func() { w.redis = nil }) // Redis forgot everything
		tail.Rang(room.Key, w.commit(1, true))
		reached(t, room, 8)

		w.set(func() { w.away = true })
		w.commit(1, true)
		tail.Rang(room.Key, 0)
		reached(t, room, 9)
	})
}

func TestWithoutBellsTheHeadsTell(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *Tailer, _ *hub.Hub, room *hub.Room) {
		w.set(func() { w.healthy, w.age = false, 0 })
		head := w.commit(5, false)
		time.Sleep(headsEvery)
		reached(t, room, head)
		if _, renewed := w.counts(); renewed != 0 {
			t.Error("renewed a connection that is known to be broken")
		}
	})
}

func TestABellThatShouldHaveRungRenewsTheConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *Tailer, _ *hub.Hub, room *hub.Room) {
		head := w.commit(1, false)
		time.Sleep(headsEvery)
		reached(t, room, head)
		if _, renewed := w.counts(); renewed != 1 {
			t.Error("a deaf connection was renewed", renewed, "times")
		}
	})
}

func TestYoungEntriesAreLeftToTheBell(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *Tailer, _ *hub.Hub, room *hub.Room) {
		w.set(func() { w.age = 300 * time.Millisecond })
		w.commit(1, false)
		time.Sleep(headsEvery + lateAfter/2)
		reached(t, room, 0)
		if _, renewed := w.counts(); renewed != 0 {
			t.Error("renewed the connection before its bell was late")
		}
	})
}

// A room in which somebody speaks all the time is late too, when no bell brings it.
func TestABusyRoomIsFilledByTheSecondAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *Tailer, _ *hub.Hub, room *hub.Room) {
		w.set(func() { w.age = 0 })
		for range 30 {
			w.commit(1, false)
			time.Sleep(100 * time.Millisecond)
		}
		if head := room.Head(); head < 8 {
			t.Error("after three seconds the room is at", head)
		}
	})
}

func TestAFillThatFailsIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, tail *Tailer, _ *hub.Hub, room *hub.Room) {
		w.set(func() { w.down = true })
		tail.Rang(room.Key, w.commit(1, false))
		reached(t, room, 0)
		w.set(func() { w.down = false })
		time.Sleep(headsEvery)
		reached(t, room, 1)
	})
}

func TestHeldBackNothingIsDeliveredAndAfterwardsAll(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, tail *Tailer, h *hub.Hub, room *hub.Room) {
		h.Hold(true)
		tail.Rang(room.Key, w.commit(1, true))
		time.Sleep(time.Minute)
		reached(t, room, 0)
		h.Hold(false)
		tail.Resume()
		reached(t, room, 1)
	})
}

func TestALogThatWentBackInTimeClosesItsRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, tail *Tailer, h *hub.Hub, room *hub.Room) {
		w.set(func() { w.name = "M" })
		tail.Rang(room.Key, w.commit(1, false))
		synctest.Wait()
		if h.ByID(7) != nil {
			t.Fatal("still open")
		}
	})
}

// slowLog answers for the tail only after a while, so that bells ring meanwhile.
type slowLog struct {
	*world

	answer chan struct{}
}

func (l slowLog) Tail(ctx context.Context, room chat.RoomID, limit, bytes int) (roomsapi.Range, error) {
	tail, err := l.world.Tail(ctx, room, limit, bytes)
	<-l.answer
	return tail, err
}

func TestBellsThatRingWhileARoomOpensAreNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.commit(3, true)
		l := slowLog{w, make(chan struct{})}
		tail, h := run(t, w, l)
		opened := make(chan *hub.Room)
		go func() {
			room, err := h.Open(t.Context(), chat.DefaultTenant, access())
			if err != nil {
				t.Error(err)
			}
			opened <- room
		}()
		synctest.Wait() // the tail, which ends at 3, is on its way
		key := stream.Room{Tenant: chat.DefaultTenant, Log: "L"}
		tail.Rang(key, 0)
		tail.Rang(key, w.commit(2, true))
		close(l.answer)
		room := <-opened
		reached(t, room, 5)
		room.Grant("user", true, 0)
		events, _, _, err := room.Since(0, "user")
		if err != nil || len(events) != 5 {
			t.Error("the tail has doubles or holes:", len(events), err)
		}
	})
}
