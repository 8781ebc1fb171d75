package hub

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
)

// keep takes the snapshot of a join that is handed nothing.
func keep(s *Snapshot) func(Snapshot) func() {
	return func(snapshot Snapshot) func() {
		*s = snapshot
		return func() {}
	}
}

// never is the answer of a join that must be refused.
func never(t *testing.T, what string) func(Snapshot) func() {
	t.Helper()
	return func(Snapshot) func() {
		t.Error(what)
		return func() {}
	}
}

// An access answer that was decided before an event of the lobby opens the room after it.
func TestARoomOpenedByAnOldAnswerShowsWhatTheNextAnswerSays(t *testing.T) {
	h := newHub(&log{})
	room := func(topic string) *chat.Room { return &chat.Room{Slug: "a", Log: "L", Name: topic} }
	open := func(topic string, decided chat.Seq) *Room {
		t.Helper()
		opened, err := h.Open(t.Context(), chat.DefaultTenant, roomsapi.Access{ID: 7, Room: room(topic), Lobby: decided})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Release(opened) })
		return opened
	}
	h.HandleRoom(t.Context(), lobby.Event{Seq: 10, Kind: lobby.RoomUpdated, RoomID: 7, Room: room("new")}, nil)
	if open("old", 9).Grant("user", true, 9) {
		t.Fatal("an old decision was taken")
	}
	opened := open("new", 10)
	opened.Grant("user", true, 10)
	if s := join(t, h, opened, &socket{}, nil); s.Info.Name != "new" {
		t.Errorf("joined a room that shows %q", s.Info.Name)
	}
	open("old", 9)                  // an answer that was long on its way
	if opened = open("newest", 12); // the lobby is behind
	h.HandleRoom(t.Context(), lobby.Event{Seq: 11, Kind: lobby.RoomUpdated, RoomID: 7, Room: room("newer")}, func(Member) []byte { return nil }) != opened {
		t.Fatal("another room")
	}
	if topic := opened.Info().Name; topic != "newest" {
		t.Errorf("the room shows %q", topic)
	}
}

// stalled joins a room and returns while its answer is being made; proceed lets it go on.
func stalled(t *testing.T, h *Hub, room *Room, m *socket) (proceed func() error) {
	t.Helper()
	making, made, done := make(chan struct{}, joinTries), make(chan struct{}), make(chan error)
	go func() {
		done <- h.Join(t.Context(), room, m, "user", room.lobbyEvent(), Join{}, func(s Snapshot) func() {
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

func (r *Room) lobbyEvent() chat.Seq {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.event
}

// One room whose joins take their time holds up nobody: no other room, and not its own members.
func TestAnAnswerBeingMadeHoldsNobodyUp(t *testing.T) {
	h := newHub(&log{})
	room := open(t, h)
	other := &socket{}
	join(t, h, room, other, nil)
	joining := &socket{}
	proceed := stalled(t, h, room, joining)

	within := time.After(30 * time.Second)
	free := make(chan struct{})
	go func() {
		defer close(free)
		room.Deliver([]roomsapi.Entry{message(1, "hi"), message(2, "hi")})
		h.closeIdle(time.Now().Add(time.Hour))
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
	room.Deliver([]roomsapi.Entry{message(3, "hi")})
	joining.contiguous(t, 3)
	if joining.cursor != 0 {
		t.Error("joined at", joining.cursor)
	}
}

// Whatever happens in a room while somebody's answer is made: who was a member misses nothing, and who was not is
// none by an old decision.
func TestWhatHappensWhileAnAnswerIsMade(t *testing.T) {
	allowed, refused := func(Member) []byte { return nil }, func(Member) []byte { return []byte("kicked") }
	event := lobby.Event{Seq: 9, Kind: lobby.RoomUpdated, RoomID: 7, Room: &chat.Room{Slug: "a", Log: "L", Name: "new"}}
	for name, c := range map[string]struct {
		happens func(h *Hub, room *Room)
		code    chat.Code // of a join anew
		member  bool      // who was one before is one still
	}{
		"nothing":         {func(*Hub, *Room) {}, "", true},
		"an event":        {func(h *Hub, _ *Room) { h.HandleRoom(t.Context(), event, allowed) }, chat.CodeUnavailable, true},
		"a refusal":       {func(h *Hub, _ *Room) { h.HandleRoom(t.Context(), event, refused) }, chat.CodeUnavailable, false},
		"a renewed log":   {func(h *Hub, room *Room) { h.Close(t.Context(), room) }, chat.CodeUnavailable, true},
		"delivery held":   {func(h *Hub, _ *Room) { h.Hold(true) }, chat.CodeUnavailable, true},
		"very much, fast": {func(_ *Hub, room *Room) { room.Deliver(many(room.Head(), 40, 10_000)) }, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, again := range []bool{false, true} {
				h := newHub(&log{})
				room := open(t, h)
				s := &socket{}
				if again {
					join(t, h, room, s, nil)
				}
				proceed := stalled(t, h, room, s)
				room.Deliver([]roomsapi.Entry{message(1, "hi")})
				c.happens(h, room)
				if err := proceed(); chat.CodeOf(err) != c.code {
					t.Error("again", again, err)
				}
				if h.Hold(false); c.code == "" || again && c.member {
					room.Deliver(many(room.Head(), 1, 1))
					s.contiguous(t, room.Head())
				} else if len(s.seqs()) > 1 || room.Remove(s) {
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
	h := newHub(&log{})
	open(t, h)
	successor, err := h.Open(t.Context(), chat.DefaultTenant, roomsapi.Access{ID: 8, Room: &chat.Room{Slug: "a", Log: "L"}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release(successor)
	h.HandleRoom(t.Context(), lobby.Event{Seq: 1, Kind: lobby.RoomDeleted, RoomID: 7, Room: &chat.Room{Slug: "a", Log: "L"}}, func(Member) []byte { return nil })
	if found := h.Find(chat.DefaultTenant, "a"); found != successor {
		t.Error(fmt.Sprint("found ", found))
	}
}

func TestWhatWasReadFromTheLogShowsLaterDeletesToo(t *testing.T) {
	l := &log{}
	l.append(600)
	room := open(t, newHub(l))
	older := append([]roomsapi.Entry(nil), l.entries[50:300]...) // read a moment ago, and now:
	deleted := roomsapi.Entry{Seq: 601, Kind: "deleted", Message: 60, Event: json.RawMessage(`{"seq":601}`), State: json.RawMessage(`{"id":60,"deleted":true}`)}
	room.Deliver([]roomsapi.Entry{deleted})
	after := chat.Seq(50)
	s, _, met, err := room.admit(&socket{}, "user", Join{After: &after}, older)
	if err != nil || !met || !s.Recovered || strings.Contains(string(s.Events[9]), "hi") {
		t.Error(met, err, s.Recovered, "a deleted body went out")
	}
}

func TestHeldBackMeansNothingGoesOut(t *testing.T) {
	l := &log{}
	h := newHub(l)
	room := open(t, h)
	h.Hold(true)
	if err := h.Join(t.Context(), room, &socket{}, "user", 0, Join{}, never(t, "admitted")); chat.CodeOf(err) != chat.CodeUnavailable {
		t.Error(err)
	}
	l.append(1)
	room.Deliver([]roomsapi.Entry{message(1, "read before it was held back")})
	if err := h.Fill(t.Context(), room); chat.CodeOf(err) != chat.CodeUnavailable {
		t.Error(err)
	}
	if head := room.Head(); head != 0 {
		t.Error("delivered up to", head)
	}
}
