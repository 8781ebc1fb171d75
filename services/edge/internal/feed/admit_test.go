package feed

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// keep takes the snapshot of a join that is handed nothing.
func keep(s *room.Snapshot) func(room.Snapshot) func() {
	return func(snapshot room.Snapshot) func() {
		*s = snapshot
		return func() {}
	}
}

// never is the answer of a join that must be refused.
func never(t *testing.T, what string) func(room.Snapshot) func() {
	t.Helper()
	return func(room.Snapshot) func() {
		t.Error(what)
		return func() {}
	}
}

// An access answer that was decided before an event of the lobby opens the room after it.
func TestARoomOpenedByAnOldAnswerShowsWhatTheNextAnswerSays(t *testing.T) {
	h := newFeed(&log{})
	r := func(topic string) *chat.Room { return &chat.Room{Slug: "a", Log: "L", Name: topic} }
	open := func(topic string, decided chat.Seq) *room.Room {
		t.Helper()
		opened, err := h.Open(t.Context(), chat.DefaultTenant, roomsapi.Access{ID: 7, Room: r(topic), Lobby: decided})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Rooms.Release(opened) })
		return opened
	}
	h.Apply(t.Context(), lobby.Event{Seq: 10, Kind: lobby.RoomUpdated, RoomID: 7, Room: r("new")}, nil)
	if open("old", 9).Grant(user, roomsapi.Access{ForAll: true, Lobby: 9}) {
		t.Fatal("an old decision was taken")
	}
	opened := open("new", 10)
	opened.Grant(user, roomsapi.Access{ForAll: true, Lobby: 10})
	if s := join(t, h, opened, &socket{}, nil); s.Info.Name != "new" {
		t.Errorf("joined a room that shows %q", s.Info.Name)
	}
	open("old", 9)              // an answer that was long on its way
	opened = open("newest", 12) // the lobby is behind
	if same, _ := h.Apply(t.Context(), lobby.Event{Seq: 11, Kind: lobby.RoomUpdated, RoomID: 7, Room: r("newer")}, stays); same != opened {
		t.Fatal("another room")
	}
	if topic := opened.Info().Name; topic != "newest" {
		t.Errorf("the room shows %q", topic)
	}
}

// stalled joins a room and returns while its answer is being made; proceed lets it go on.
func stalled(t *testing.T, h *Feed, r *room.Room, m *socket) (proceed func() error) {
	t.Helper()
	making, made, done := make(chan struct{}, joinTries), make(chan struct{}), make(chan error)
	go func() {
		done <- h.Join(t.Context(), r, m, user, room.Join{}, func(s room.Snapshot) func() {
			making <- struct{}{}
			<-made
			return func() { m.joined(s.Cursor) }
		})
	}()
	<-making
	return func() error {
		close(made)
		return <-done
	}
}

// One room whose joins take their time holds up nobody: no other room, and not its own members.
func TestAnAnswerBeingMadeHoldsNobodyUp(t *testing.T) {
	h := newFeed(&log{})
	r := open(t, h)
	other := &socket{}
	join(t, h, r, other, nil)
	joining := &socket{}
	proceed := stalled(t, h, r, joining)

	within := time.After(30 * time.Second)
	free := make(chan struct{})
	go func() {
		defer close(free)
		r.Deliver([]roomsapi.Entry{message(1, "hi"), message(2, "hi")})
		h.Rooms.CloseIdle(time.Now().Add(time.Hour))
		if _, err := h.Open(t.Context(), chat.DefaultTenant, roomsapi.Access{ID: 8, Room: &chat.Room{Slug: "b", Log: "L"}}); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-free:
	case <-within:
		t.Fatal("all wait for one answer")
	}
	if !slices.Equal(other.seqs(), []chat.Seq{1, 2}) || len(joining.seqs()) != 0 {
		t.Error("members got", other.seqs(), "and who is joining", joining.seqs())
	}
	if err := proceed(); err != nil {
		t.Fatal(err)
	}
	r.Deliver([]roomsapi.Entry{message(3, "hi")})
	joining.contiguous(t, 3)
	if joining.cursor != 0 {
		t.Error("joined at", joining.cursor)
	}
}

// Whatever happens in a room while somebody's answer is made: who was a member misses nothing, and who was not is
// none by an old decision.
func TestWhatHappensWhileAnAnswerIsMade(t *testing.T) {
	event := lobby.Event{Seq: 9, Kind: lobby.RoomUpdated, RoomID: 7, Room: &chat.Room{Slug: "a", Log: "L", Name: "new"}}
	for name, c := range map[string]struct {
		happens func(h *Feed, r *room.Room)
		code    chat.Code // of a join anew
		member  bool      // who was one before is one still
	}{
		"nothing":         {func(*Feed, *room.Room) {}, "", true},
		"an event":        {func(h *Feed, _ *room.Room) { h.Apply(t.Context(), event, stays) }, chat.CodeUnavailable, true},
		"a refusal":       {func(h *Feed, _ *room.Room) { h.Apply(t.Context(), event, refused) }, chat.CodeUnavailable, false},
		"a renewed log":   {func(h *Feed, r *room.Room) { h.Close(t.Context(), r) }, chat.CodeUnavailable, true},
		"delivery held":   {func(h *Feed, _ *room.Room) { h.Rooms.Hold(true) }, chat.CodeUnavailable, true},
		"very much, fast": {func(_ *Feed, r *room.Room) { r.Deliver(many(r.Head(), 40, 10_000)) }, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, again := range []bool{false, true} {
				h := newFeed(&log{})
				r := open(t, h)
				s := &socket{}
				if again {
					join(t, h, r, s, nil)
				}
				proceed := stalled(t, h, r, s)
				r.Deliver([]roomsapi.Entry{message(1, "hi")})
				c.happens(h, r)
				if err := proceed(); chat.CodeOf(err) != c.code {
					t.Error("again", again, err)
				}
				if h.Rooms.Hold(false); c.code == "" || again && c.member {
					r.Deliver(many(r.Head(), 1, 1))
					s.contiguous(t, r.Head())
				} else if len(s.seqs()) > 1 || r.Remove(s) {
					t.Error("again", again, "is a member by an old decision")
				}
				if told := s.out != ""; told != (again && !c.member) {
					t.Error("again", again, "told to be out:", told)
				}
			}
		})
	}
}

// many are n entries after a seq, each with a body of that size.
func many(after chat.Seq, n, size int) []roomsapi.Entry {
	var entries []roomsapi.Entry
	for i := range n {
		entries = append(entries, message(after+1+chat.Seq(i), strings.Repeat("x", size)))
	}
	return entries
}

// A slug that is free again may be another room's before this edge has heard of it.
func TestADeletedRoomsSuccessorIsFound(t *testing.T) {
	h := newFeed(&log{})
	open(t, h)
	successor, err := h.Open(t.Context(), chat.DefaultTenant, roomsapi.Access{ID: 8, Room: &chat.Room{Slug: "a", Log: "L"}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Rooms.Release(successor)
	h.Apply(t.Context(), lobby.Event{Seq: 1, Kind: lobby.RoomDeleted, RoomID: 7, Room: &chat.Room{Slug: "a", Log: "L"}}, stays)
	if found := h.Rooms.Find(chat.DefaultTenant, "a"); found != successor {
		t.Error(fmt.Sprint("found ", found))
	}
}

func TestWhatWasReadFromTheLogShowsLaterDeletesToo(t *testing.T) {
	l := &log{}
	l.append(600)
	r := open(t, newFeed(l))
	older := append([]roomsapi.Entry(nil), l.entries[50:300]...) // read a moment ago, and now:
	deleted := roomsapi.Entry{Seq: 601, Kind: "deleted", Message: 60, Event: json.RawMessage(`{"seq":601}`), State: json.RawMessage(`{"id":60,"deleted":true}`)}
	r.Deliver([]roomsapi.Entry{deleted})
	after := chat.Seq(50)
	s, _, met, err := r.Admit(&socket{}, user, room.Join{After: &after}, older)
	if err != nil || !met || !s.Recovered || strings.Contains(string(s.Events[9]), "hi") {
		t.Error(met, err, s.Recovered, "a deleted body went out")
	}
}

func TestHeldBackMeansNothingGoesOut(t *testing.T) {
	l := &log{}
	h := newFeed(l)
	r := open(t, h)
	h.Rooms.Hold(true)
	if err := h.Join(t.Context(), r, &socket{}, user, room.Join{}, never(t, "admitted")); chat.CodeOf(err) != chat.CodeUnavailable {
		t.Error(err)
	}
	l.append(1)
	r.Deliver([]roomsapi.Entry{message(1, "read before it was held back")})
	if err := h.Fill(t.Context(), r); chat.CodeOf(err) != chat.CodeUnavailable {
		t.Error(err)
	}
	if head := r.Head(); head != 0 {
		t.Error("delivered up to", head)
	}
}
