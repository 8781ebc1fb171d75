package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log is a room's log as the rooms service keeps it.
type log struct {
	mu      sync.Mutex
	entries []roomsapi.Entry
	floor   chat.Seq
	reads   int
	err     error
}

func message(id chat.Seq, body string) roomsapi.Entry {
	event := fmt.Sprintf(`{"type":"message","room":"a","seq":%d,"message":{"id":%d,"body":%q}}`, id, id, body)
	return roomsapi.Entry{Seq: id, Kind: "message", Message: id, Event: json.RawMessage(event)}
}

func (l *log) append(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		l.entries = append(l.entries, message(chat.Seq(len(l.entries)+1), "hi"))
	}
}

func (l *log) Tail(_ context.Context, _ chat.RoomID, limit, _ int) (roomsapi.Range, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	from := max(0, len(l.entries)-limit)
	return roomsapi.Range{Log: "L", Head: chat.Seq(len(l.entries)), Floor: max(1, l.floor), Entries: l.entries[from:]}, l.err
}

func (l *log) Entries(_ context.Context, _ chat.RoomID, after chat.Seq, limit, _ int) (roomsapi.Range, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	from := min(int(after), len(l.entries))
	to := min(from+limit, len(l.entries))
	return roomsapi.Range{Log: "L", Head: chat.Seq(len(l.entries)), Floor: max(1, l.floor), Entries: l.entries[from:to]}, l.err
}

func (l *log) History(_ context.Context, _ chat.RoomID, before chat.Seq, limit int) (page roomsapi.History, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	for i := min(int(before)-1, len(l.entries)) - 1; i >= 0; i-- {
		e := l.entries[i]
		if e.Kind != "message" {
			continue
		}
		if len(page.Messages) == limit {
			page.HasMore = true
			break
		}
		var event struct {
			Message json.RawMessage `json:"message"`
		}
		if err := json.Unmarshal(e.Event, &event); err != nil {
			return page, err
		}
		page.Messages = append(page.Messages, event.Message)
	}
	return page, l.err
}

func (*log) Heads(context.Context) ([]roomsapi.Head, error) { return nil, nil }

// user is whom the tests' grants are for.
var user = room.Reader{Kind: "user"}

// away is a Redis that notifies of nothing.
type away struct{}

func (away) Subscribe(context.Context, stream.Room) error { return errors.New("away") }
func (away) Unsubscribe(context.Context, stream.Room)     {}
func (away) Healthy() bool                                { return false }
func (away) Renew()                                       {}

// socket is a member that notes the seqs it is handed.
type socket struct {
	mu     sync.Mutex
	user   chat.User
	cursor chat.Seq
	got    []chat.Seq
	out    string
}

func (s *socket) Deliver(_ *room.Room, frames []byte, _ time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for part := range strings.SplitSeq(string(frames), `"seq":`) {
		var n chat.Seq
		if _, err := fmt.Sscanf(part, "%d,", &n); err == nil {
			s.got = append(s.got, n)
		}
	}
}

func (s *socket) TakenOut(_ *room.Room, frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = string(frame)
}

func (*socket) Reconnect()          {}
func (s *socket) User() chat.User   { return s.user }
func (*socket) Reader() room.Reader { return user }

func (s *socket) joined(cursor chat.Seq) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursor, s.got = cursor, nil
}

func (s *socket) seqs() []chat.Seq {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *socket) contiguous(t *testing.T, head chat.Seq) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, seq := range s.got {
		if seq != s.cursor+1+chat.Seq(i) {
			t.Fatalf("joined at %d and got %v", s.cursor, s.got)
		}
	}
	if s.cursor+chat.Seq(len(s.got)) != head {
		t.Fatalf("joined at %d, got %d entries, the head is %d", s.cursor, len(s.got), head)
	}
}

func newFeed(l Log) *Feed {
	registry := prometheus.NewRegistry()
	f := New(room.NewRooms(registry), l, nil, slog.New(slog.DiscardHandler), registry)
	f.SetNotifications(away{})
	return f
}

// stays and refused are what becomes of members at an event.
func stays(room.Member) (room.Verdict, []byte)   { return room.Stays, nil }
func refused(room.Member) (room.Verdict, []byte) { return room.TakenOut, []byte("kicked") }

func open(t testing.TB, h *Feed) *room.Room {
	t.Helper()
	r, err := h.Open(t.Context(), chat.DefaultTenant, roomsapi.Access{ID: 7, Room: &chat.Room{Slug: "a", Log: "L"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Rooms.Release(r) })
	if !r.Grant(user, roomsapi.Access{ForAll: true}) {
		t.Fatal("not granted")
	}
	return r
}

func join(t *testing.T, h *Feed, r *room.Room, m room.Member, after *chat.Seq) (s room.Snapshot) {
	t.Helper()
	err := h.Join(t.Context(), r, m, user, room.Join{After: after, Limit: 50}, func(snapshot room.Snapshot) func() {
		s = snapshot
		return func() {
			if m, ok := m.(*socket); ok {
				m.joined(snapshot.Cursor)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Guarantee 3: whoever joins while entries come in gets every entry after its cursor, once, in order.
func TestJoinsAmidDeliveriesHaveNoGap(t *testing.T) {
	t.Parallel()
	l := &log{}
	l.append(20)
	h := newFeed(l)
	r := open(t, h)
	var work sync.WaitGroup
	work.Go(func() {
		for range 150 {
			l.append(1 + rand.IntN(3))
			if rand.IntN(10) == 0 { // Redis brought nothing of it
				continue
			}
			l.mu.Lock()
			all := l.entries
			l.mu.Unlock()
			from := max(0, len(all)-1-rand.IntN(5)) // what came may overlap, or leave a hole
			if r.Deliver(all[from:]) < chat.Seq(len(all)) {
				if err := h.Fill(t.Context(), r); err != nil {
					t.Error(err)
				}
			}
		}
	})
	var sockets []*socket
	var mu sync.Mutex
	for range 8 {
		work.Go(func() {
			for range 30 {
				s := &socket{}
				var after *chat.Seq
				if head := r.Head(); rand.IntN(2) == 0 {
					seq := max(0, head-chat.Seq(rand.IntN(30)))
					after = &seq
				}
				snapshot := join(t, h, r, s, after)
				if snapshot.Recovered && after != nil {
					if len(snapshot.Events) != int(snapshot.Cursor-*after) {
						t.Errorf("resumed from %d to %d with %d events", *after, snapshot.Cursor, len(snapshot.Events))
					}
				}
				mu.Lock()
				sockets = append(sockets, s)
				mu.Unlock()
			}
		})
	}
	work.Wait()
	if err := h.Fill(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for _, s := range sockets {
		s.contiguous(t, r.Head())
	}
}

func TestAResumeSaysHonestlyWhatItCan(t *testing.T) {
	l := &log{floor: 101}
	l.append(3000)
	h := newFeed(l)
	r := open(t, h)
	seq := func(n chat.Seq) *chat.Seq { return &n }
	for name, c := range map[string]struct {
		after     *chat.Seq
		log       chat.LogID
		recovered bool
		events    int
	}{
		"at the head":     {seq(3000), "L", true, 0},
		"from memory":     {seq(2990), "", true, 10},
		"from the log":    {seq(2100), "L", true, 900},
		"too much":        {seq(150), "L", false, 0},
		"below the floor": {seq(99), "L", false, 0},
		"above the head":  {seq(3001), "L", false, 0},
		"of another log":  {seq(2990), "M", false, 0},
		"no cursor":       {nil, "", false, 0},
	} {
		var s room.Snapshot
		err := h.Join(t.Context(), r, &socket{}, user, room.Join{After: c.after, Log: c.log, Limit: 50}, keep(&s))
		if err != nil || s.Recovered != c.recovered || len(s.Events) != c.events || s.Cursor != 3000 {
			t.Errorf("%s: recovered %v, %d events, cursor %d, %v", name, s.Recovered, len(s.Events), s.Cursor, err)
		}
		if !c.recovered && (len(s.Messages) != 50 || !s.HasMore) {
			t.Errorf("%s: %d messages", name, len(s.Messages))
		}
	}
}

func TestARunThatOverlapsIsDelivered(t *testing.T) {
	l := &log{}
	l.append(3)
	r := open(t, newFeed(l))
	l.append(3)
	if head := r.Deliver(l.entries[2:]); head != 6 { // 3 is known
		t.Error("the head is", head)
	}
	if head := r.Deliver(l.entries); head != 6 {
		t.Error("the head is", head)
	}
}

func TestNothingBelowTheFloorIsResumed(t *testing.T) {
	l := &log{floor: 2900}
	l.append(3000)
	h := newFeed(l)
	r := open(t, h)
	for after, want := range map[chat.Seq]bool{2800: false, 2898: false, 2899: true} {
		if s := join(t, h, r, &socket{}, &after); s.Recovered != want {
			t.Error(after, s.Recovered)
		}
	}
}

func TestACursorAboveOurHeadIsCaughtUpWith(t *testing.T) {
	l := &log{}
	l.append(5)
	h := newFeed(l)
	r := open(t, h)
	l.append(5) // no bell told of these
	after := chat.Seq(8)
	if s := join(t, h, r, &socket{}, &after); !s.Recovered || s.Cursor != 10 || len(s.Events) != 2 {
		t.Errorf("%+v", s)
	}
}

func TestTenThousandJoinsReadTheLogOnce(t *testing.T) {
	l := &log{}
	l.append(100)
	h := newFeed(l)
	r := open(t, h)
	for range 10_000 {
		after := chat.Seq(90)
		join(t, h, r, &socket{}, &after)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reads != 1 {
		t.Error("read the log", l.reads, "times")
	}
}

func TestReplaysShowMessagesAsTheyAreNow(t *testing.T) {
	l := &log{}
	l.append(3)
	h := newFeed(l)
	r := open(t, h)
	edited := roomsapi.Entry{Seq: 4, Kind: "edited", Message: 2, Event: json.RawMessage(`{"type":"edited","room":"a","seq":4,"message":{"id":2,"body":"new"}}`), State: json.RawMessage(`{"id":2,"body":"new"}`)}
	deleted := roomsapi.Entry{Seq: 5, Kind: "deleted", Message: 2, Event: json.RawMessage(`{"type":"deleted","room":"a","seq":5,"message":2}`), State: json.RawMessage(`{"id":2,"deleted":true}`)}
	r.Deliver([]roomsapi.Entry{edited})
	zero := chat.Seq(0)
	if s := join(t, h, r, &socket{}, &zero); !strings.Contains(string(s.Events[1]), `"new"`) || strings.Contains(string(s.Events[1]), `"hi"`) {
		t.Error("the edited message shows as it was:", string(s.Events[1]))
	}
	r.Deliver([]roomsapi.Entry{deleted})
	s := join(t, h, r, &socket{}, &zero)
	for _, event := range s.Events[1:4] {
		if strings.Contains(string(event), "new") {
			t.Error("a deleted body went out again:", string(event))
		}
	}
	fresh := join(t, h, r, &socket{}, nil)
	if got := string(fresh.Messages[1]); got != `{"id":2,"deleted":true}` {
		t.Error(got)
	}
}

// Guarantee 5: a decision of before an event opens nothing after it.
func TestAnEventInBetweenMakesAJoinAskAgain(t *testing.T) {
	h := newFeed(&log{})
	r := open(t, h)
	in := &socket{user: chat.User{ID: "u"}}
	join(t, h, r, in, nil)
	event := lobby.Event{Seq: 9, Kind: lobby.RoomUpdated, RoomID: 7, Room: &chat.Room{Slug: "a", Log: "L", StaffOnly: true}}
	h.Apply(t.Context(), event, refused)
	if in.out != "kicked" {
		t.Error("still in")
	}
	r.Deliver([]roomsapi.Entry{message(1, "secret")})
	if len(in.seqs()) != 0 {
		t.Error("heard a secret after it was taken out")
	}
	err := h.Join(t.Context(), r, &socket{}, user, room.Join{}, never(t, "admitted by a decision of before"))
	if chat.CodeOf(err) != chat.CodeUnavailable {
		t.Error(err)
	}
	if r.Grant(user, roomsapi.Access{ForAll: true, Lobby: 8}) || r.Admits(user) {
		t.Error("an old decision was remembered")
	}
	// A room that is not open when the event comes is no different.
	other := lobby.Event{Seq: 10, Kind: lobby.RoomUpdated, RoomID: 8, Room: &chat.Room{Slug: "b", Log: "L"}}
	h.Apply(t.Context(), other, nil)
	late, err := h.Open(t.Context(), chat.DefaultTenant, roomsapi.Access{ID: 8, Room: &chat.Room{Slug: "b", Log: "L"}, Lobby: 9})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Rooms.Release(late)
	if late.Grant(user, roomsapi.Access{ForAll: true, Lobby: 9}) {
		t.Error("a decision of before the event opened the room")
	}
}

func TestADeletedRoomAdmitsNobody(t *testing.T) {
	h := newFeed(&log{})
	r := open(t, h)
	h.Apply(t.Context(), lobby.Event{Seq: 1, Kind: lobby.RoomDeleted, RoomID: 7, Room: &chat.Room{Slug: "a", Log: "L"}}, stays)
	err := h.Join(t.Context(), r, &socket{}, user, room.Join{}, never(t, "admitted"))
	if chat.CodeOf(err) != chat.CodeNotFound || h.Rooms.Find(chat.DefaultTenant, "a") != nil {
		t.Error(err)
	}
}

func TestARoomThatCannotOpenIsForgotten(t *testing.T) {
	l := &log{err: chat.Errorf(chat.CodeUnavailable, "away")}
	h := newFeed(l)
	_, err := h.Open(t.Context(), chat.DefaultTenant, roomsapi.Access{ID: 7, Room: &chat.Room{Slug: "a", Log: "L"}})
	if chat.CodeOf(err) != chat.CodeUnavailable || h.Rooms.ByID(7) != nil {
		t.Error(err)
	}
	l.err = nil
	open(t, h)
}

func TestIdleRoomsAreClosedAndUsedOnesNot(t *testing.T) {
	h := newFeed(&log{})
	r, err := h.Open(t.Context(), chat.DefaultTenant, roomsapi.Access{ID: 7, Room: &chat.Room{Slug: "a", Log: "L"}})
	if err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if h.Rooms.CloseIdle(later); h.Rooms.ByID(7) == nil {
		t.Error("closed under a join")
	}
	s, w := &socket{}, room.NewWatcher()
	r.Grant(user, roomsapi.Access{ForAll: true})
	join(t, h, r, s, nil)
	r.Watch(w)
	h.Rooms.Release(r)
	r.Remove(s)
	if h.Rooms.CloseIdle(later); h.Rooms.ByID(7) == nil {
		t.Error("closed under a watcher")
	}
	r.Unwatch(w)
	if h.Rooms.CloseIdle(later); h.Rooms.ByID(7) != nil {
		t.Error("never closed")
	}
}
