package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/rooms/internal/message"
)

type entry = roomsapi.Entry

func testSpans(t *testing.T, b Backend) {
	store := b.Open(t)
	p := newPod(t, store)
	r, ctx := p.room(t, "one"), t.Context()
	for i := range 10 {
		p.append(t, send(ada, r.ID, fmt.Sprint(i), strings.Repeat("x", 1000)))
	}
	p.want(t, "[11 12 13 14]", edit(ada, r.ID, 3, strings.Repeat("y", 1000)), remove(ada, r.ID, 4), send(ada, r.ID, "a", "a"), send(ada, r.ID, "b", "b"))

	for _, c := range []struct {
		what         string
		after        chat.Seq
		limit, bytes int
		want         string
	}{
		{"all", 0, 0, 0, "1 2 3 4 5 6 7 8 9 10 11 12 13 14"},
		{"part", 5, 3, 0, "6 7 8"},
		{"end", 12, 0, 0, "13 14"},
		{"at the head", 14, 0, 0, ""},
		{"above the head", 99, 0, 0, ""},
		{"few bytes", 0, 0, 2500, "1 2"},
		{"at least one", 0, 0, 1, "1"},
		{"a long edit counts", 9, 0, 2500, "10"},
	} {
		page, err := p.messages.Entries(ctx, r.ID, c.after, c.limit, c.bytes)
		if got := seqs(page.Entries); err != nil || got != c.want || page.Head != 14 || page.Floor != 1 || page.Log != r.Log {
			t.Errorf("%s: %s, want %s (%v %+v)", c.what, got, c.want, err, page)
		}
	}
	for _, c := range []struct {
		limit, bytes int
		want         string
	}{{3, 0, "12 13 14"}, {0, 1600, "12 13 14"}, {0, 1, "14"}, {1000, 1 << 20, "1 2 3 4 5 6 7 8 9 10 11 12 13 14"}} {
		page, err := p.messages.Tail(ctx, r.ID, c.limit, c.bytes)
		if got := seqs(page.Entries); err != nil || got != c.want || page.Head != 14 {
			t.Errorf("tail %d %d: %s, want %s (%v)", c.limit, c.bytes, got, c.want, err)
		}
	}
	for _, c := range []struct {
		what   string
		after  int
		before chat.Seq
		limit  int
		want   string
		more   bool
	}{
		{"newest first", -1, 0, 0, "14 13 10 9 8 7 6 5 4 3 2 1", false},
		{"before", -1, 9, 3, "8 7 6", true},
		{"before, the last", -1, 3, 2, "2 1", false},
		{"after", 0, 0, 4, "1 2 3 4", true},
		{"after, over changes", 9, 0, 4, "10 13 14", false},
		{"between", 3, 6, 9, "4 5", false},
		{"nothing", 14, 0, 9, "", false},
	} {
		var after *chat.Seq
		if c.after >= 0 {
			after = new(chat.Seq(c.after))
		}
		page, err := p.messages.History(ctx, r.ID, after, c.before, c.limit)
		var ids []string
		for _, m := range page.Messages {
			ids = append(ids, fmt.Sprint(parse[state](t, m).ID))
		}
		if got := strings.Join(ids, " "); err != nil || got != c.want || page.HasMore != c.more || page.Room.Head != 14 {
			t.Errorf("%s: %s %v, want %s %v (%v)", c.what, got, page.HasMore, c.want, c.more, err)
		}
	}
	// The store itself stops at the bytes of bodies, those of edited messages included.
	for bytes, want := range map[int]int{1: 1, 1000: 1, 1001: 2, 4000: 5, 1 << 20: 14} {
		for _, newest := range []bool{false, true} {
			span := message.Span{Limit: 100, Bytes: bytes, Newest: newest}
			if newest { // after two short messages and a delete comes the long edit
				want = map[int]int{1: 1, 1000: 4, 1001: 4, 4000: 7, 1 << 20: 14}[bytes]
			}
			if _, items, err := store.Log.Read(ctx, r.ID, span); err != nil || len(items) != want {
				t.Errorf("%+v: %d items, want %d (%v)", span, len(items), want, err)
			}
		}
	}
	big := p.room(t, "big") // more bytes than an answer holds
	for i := range 100 {
		p.append(t, send(ada, big.ID, fmt.Sprint(i), strings.Repeat("z", chat.MaxBodyBytes)))
	}
	page, err := p.messages.History(ctx, big.ID, nil, 0, 100)
	if err != nil || !page.HasMore || len(page.Messages) < 12 || len(page.Messages) > 16 {
		t.Error(err, page.HasMore, len(page.Messages))
	}
	_, err = p.messages.Entries(ctx, 1<<40, 0, 0, 0)
	code(t, err, chat.CodeNotFound)
	code(t, p.Delete(ctx, as(ada), "big"), "")
	_, err = p.messages.Tail(ctx, big.ID, 0, 0)
	code(t, err, chat.CodeNotFound)
}

// testFloor does what retention will do.
func testFloor(t *testing.T, b Backend) {
	p := newPod(t, b.Open(t))
	r, ctx := p.room(t, "one"), t.Context()
	for i := range 5 {
		p.append(t, send(ada, r.ID, fmt.Sprint(i), "x"))
	}
	b.Exec(t, "DELETE FROM room_log WHERE seq < 4")
	b.Exec(t, "UPDATE rooms SET floor = 4")
	_, err := p.messages.History(ctx, r.ID, new(chat.Seq(2)), 0, 10)
	code(t, err, chat.CodeConflict)
	if got := fmt.Sprint(chat.Public(err).Details); got != "map[floor:4]" {
		t.Error(got)
	}
	if page, err := p.messages.History(ctx, r.ID, new(chat.Seq(3)), 0, 10); err != nil || len(page.Messages) != 2 || page.Room.Floor != 4 {
		t.Error(page, err)
	}
	if page, err := p.messages.Entries(ctx, r.ID, 0, 0, 0); err != nil || page.Floor != 4 || seqs(page.Entries) != "4 5" {
		t.Error(page, err)
	}
	b.Exec(t, "DELETE FROM room_log")
	b.Exec(t, "UPDATE rooms SET floor = 6")
	if page, err := p.messages.Tail(ctx, r.ID, 0, 0); err != nil || page.Head != 5 || len(page.Entries) != 0 {
		t.Error(page, err)
	}
	p.want(t, "[6 2]", send(ada, r.ID, "new", "y"), send(ada, r.ID, "1", "x")) // numbers go on, nonces stay spent
}

func text(entries []entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%d %s %d %s %s\n", e.Seq, e.Kind, e.Message, e.Event, e.State)
	}
	return b.String()
}

func seqs(entries []entry) string {
	var all []string
	for _, e := range entries {
		all = append(all, fmt.Sprint(e.Seq))
	}
	return strings.Join(all, " ")
}

// testEquivalence does at random what clients do, and holds an old snapshot with the events since,
// as published and as replayed, against a fresh one.
func testEquivalence(t *testing.T, b Backend) {
	p := newPod(t, b.Open(t))
	r := p.room(t, "one")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	people := []chat.User{ada, bob, gil, staff}
	snapshots := []map[chat.Seq]string{p.snapshot(t, r.ID)}
	heads := []chat.Seq{0}
	var published []entry // all of them: a drop takes from Redis what followers had before
	for step := range 40 {
		var batch []message.Append
		for n := range 1 + random.IntN(6) {
			u, about := people[random.IntN(len(people))], chat.Seq(1+random.IntN(40))
			switch nonce := fmt.Sprint(step, n); random.IntN(4) {
			case 0, 1:
				batch = append(batch, reply(u, r.ID, nonce, "said "+nonce, chat.Seq(random.IntN(3))*about/2))
			case 2:
				batch = append(batch, edit(u, r.ID, about, "edited "+nonce))
			default:
				batch = append(batch, remove(u, r.ID, about))
			}
		}
		p.append(t, batch...)
		p.bus.mu.Lock()
		published = append(published, p.bus.streams[r.Log]...)
		p.bus.streams[r.Log] = nil
		p.bus.mu.Unlock()
		if step%10 == 0 {
			snapshots, heads = append(snapshots, p.snapshot(t, r.ID)), append(heads, chat.Seq(len(published)))
		}
	}
	now, replayed := p.snapshot(t, r.ID), p.log(t, r.ID)
	if len(published) != len(replayed) {
		t.Fatalf("%d published, %d in the log", len(published), len(replayed))
	}
	for i, old := range snapshots {
		for what, entries := range map[string][]entry{"published": published[heads[i]:], "replayed": replayed[heads[i]:]} {
			folded := maps.Clone(old)
			for _, e := range entries {
				fold(t, folded, e)
			}
			if fmt.Sprint(folded) != fmt.Sprint(now) {
				t.Fatalf("snapshot at %d with what was %s since:\n%v\nfresh:\n%v", heads[i], what, folded, now)
			}
		}
	}
}

// snapshot is all messages of a room by id.
func (p pod) snapshot(t *testing.T, room chat.RoomID) map[chat.Seq]string {
	t.Helper()
	all := make(map[chat.Seq]string)
	for after := chat.Seq(0); ; {
		page, err := p.messages.History(t.Context(), room, &after, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Messages {
			after = parse[state](t, m).ID
			all[after] = string(m)
		}
		if !page.HasMore {
			return all
		}
	}
}

// fold applies an entry as an edge does: messages by their event, changes by their state.
func fold(t *testing.T, messages map[chat.Seq]string, e entry) {
	t.Helper()
	switch {
	case e.Kind == "message":
		var event struct{ Message rawText }
		event = parse[struct{ Message rawText }](t, e.Event)
		messages[e.Message] = string(event.Message)
	case e.State != nil:
		messages[e.Message] = string(e.State)
	}
}

type rawText string

func (r *rawText) UnmarshalJSON(b []byte) error {
	*r = rawText(b)
	return nil
}

func testRecent(t *testing.T, b Backend) {
	store := b.Open(t)
	p, other := newPod(t, store), newPod(t, b.Open(t))
	r, quiet := p.room(t, "one"), p.room(t, "quiet")
	_ = quiet
	p.want(t, "[1 2 3]", send(ada, r.ID, "1", "a"), send(ada, r.ID, "2", "b"), send(ada, r.ID, "3", "c"))
	p.want(t, "[4]", send(ada, r.ID, "4", "d"))
	heads, err := store.Log.Recent(t.Context(), time.Minute)
	if err != nil || len(heads) != 1 || heads[0].Room != r.ID || heads[0].Head != 4 || heads[0].AgeMS < 0 || heads[0].AgeMS > 30_000 {
		t.Error(heads, err)
	}
	time.Sleep(20 * time.Millisecond)
	if heads, err = store.Log.Recent(t.Context(), time.Millisecond); err != nil || len(heads) != 0 {
		t.Error(heads, err)
	}
	// The pod that appended knows at once; the other one by asking.
	if got := p.messages.Heads().Recent(); len(got) != 1 || got[0].Head != 4 {
		t.Error(got)
	}
	if got := other.messages.Heads().Recent(); len(got) != 0 {
		t.Error(got)
	}
	ctx, stop := context.WithCancel(t.Context())
	done, ready := make(chan error), make(chan struct{})
	go func() { done <- other.messages.Heads().Run(ctx, func() { close(ready) }) }()
	<-ready
	if got := other.messages.Heads().Recent(); len(got) != 1 || got[0].Head != 4 {
		t.Error(got)
	}
	p.want(t, "[5]", send(ada, r.ID, "5", "e"))
	for deadline := time.Now().Add(30 * time.Second); other.messages.Heads().Recent()[0].Head != 5; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the other pod never heard of the fifth entry")
		}
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
