// Package feedtest holds what every change feed promises, as tests that each service runs on its own feed, on every database.
package feedtest

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
)

// Feed is a feed with the service's own way to write to it.
type Feed interface {
	// Append writes an event of that time in a transaction of its own, which first locks the feed.
	Append(ctx context.Context, at time.Time) (lobby.Event, error)
	Name(ctx context.Context) (chat.LogID, error)
	Page(ctx context.Context, after chat.Seq, since time.Time, limit int) (lobby.Page, error)
	Prune(ctx context.Context, before time.Time) (int, error)
	Renew(ctx context.Context, fresh chat.LogID) error
}

// at is a time by the tests' own clock, hours after their start.
func at(hours int) time.Time { return time.Date(2026, 11, 20, 12+hours, 0, 0, 0, time.UTC) }

// Run tries every promise on feeds that open makes, an empty one with a name each time.
func Run(t *testing.T, open func(t *testing.T) Feed) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Feed){
		"events are read as they were written": eventsAreKept,
		"pages":                                pages,
		"pruning leaves no hole":               pruning,
		"pruning is bounded":                   pruningIsBounded,
		"seqs have no holes":                   noHoles,
		"the name can be renewed":              renewal,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func add(t *testing.T, f Feed, at time.Time) lobby.Event {
	t.Helper()
	event, err := f.Append(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	return event
}

func page(t *testing.T, f Feed, after chat.Seq, since time.Time, limit int) lobby.Page {
	t.Helper()
	page, err := f.Page(t.Context(), after, since, limit)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func seqs(page lobby.Page) (text string) {
	for _, e := range page.Events {
		text += fmt.Sprint(e.Seq, " ")
	}
	return text
}

func eventsAreKept(t *testing.T, f Feed) {
	t.Helper()
	want := []lobby.Event{add(t, f, at(0)), add(t, f, at(1))}
	got := page(t, f, 0, time.Time{}, 10)
	if !reflect.DeepEqual(got.Events, want) || got.Head != 2 || want[0].Seq != 1 || want[1].Seq != 2 {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func pages(t *testing.T, f Feed) {
	t.Helper()
	name, err := f.Name(t.Context())
	empty := page(t, f, 0, time.Time{}, 10)
	if err != nil || name == "" || empty.Log != name || empty.Head != 0 || empty.Events == nil || len(empty.Events) != 0 {
		t.Fatalf("%q %+v %v", name, empty, err)
	}
	if since := page(t, f, 0, at(0), 10); len(since.Events) != 0 || since.Head != 0 {
		t.Fatalf("%+v", since)
	}
	// The clock of the pod that wrote the third is slow.
	for _, hour := range []int{1, 2, 0, 4, 5} {
		add(t, f, at(hour))
	}
	for _, c := range []struct {
		after chat.Seq
		hour  int
		limit int
		want  string
	}{
		{0, 0, 10, "1 2 3 4 5 "},
		{0, 0, 2, "1 2 "},
		{2, 0, 10, "3 4 5 "},
		{5, 0, 10, ""},
		{9, 0, 10, ""},
		{0, 0, 0, ""},
		{0, 2, 10, "2 3 4 5 "},
		{0, 3, 10, "4 5 "},
		{0, 2, 2, "2 3 "},
		{3, 2, 10, "4 5 "},
		{0, 6, 10, ""},
	} {
		var since time.Time
		if c.hour > 0 {
			since = at(c.hour)
		}
		got := page(t, f, c.after, since, c.limit)
		if seqs(got) != c.want || got.Head != 5 || got.Log != name {
			t.Errorf("%+v: %q of %d", c, seqs(got), got.Head)
		}
	}
}

func prune(t *testing.T, f Feed, before time.Time) int {
	t.Helper()
	n, err := f.Prune(t.Context(), before)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func pruning(t *testing.T, f Feed) {
	t.Helper()
	if n := prune(t, f, at(0)); n != 0 {
		t.Errorf("pruned %d of none", n)
	}
	for _, hour := range []int{1, 2, 0, 4, 2, 5} { // the third and the fifth are of slow clocks
		add(t, f, at(hour))
	}
	if n := prune(t, f, at(3)); n != 3 {
		t.Errorf("pruned %d", n)
	}
	if got := page(t, f, 0, time.Time{}, 10); seqs(got) != "4 5 6 " || got.Head != 6 {
		t.Errorf("pruned to %+v", got)
	}
	if n := prune(t, f, at(3)); n != 0 {
		t.Errorf("pruned %d more", n)
	}
	if n := prune(t, f, at(9)); n != 2 { // the newest stays, which says where the seqs go on
		t.Errorf("pruned %d of the rest", n)
	}
	if event := add(t, f, at(0)); event.Seq != 7 {
		t.Errorf("after pruning: %+v", event)
	}
	if got := page(t, f, 0, time.Time{}, 10); seqs(got) != "6 7 " || got.Head != 7 {
		t.Errorf("after pruning: %+v", got)
	}
}

func pruningIsBounded(t *testing.T, f Feed) {
	t.Helper()
	const events = 1010 // more than one statement takes
	for range events {
		add(t, f, at(0))
	}
	total, calls := 0, 0
	for n := -1; n != 0; calls++ {
		n = prune(t, f, at(1))
		total += n
	}
	if total != events-1 || calls != 3 {
		t.Errorf("pruned %d in %d calls", total, calls)
	}
}

// Whoever reads while others write sees every event once, in order.
func noHoles(t *testing.T, f Feed) {
	t.Helper()
	const writers, each = 8, 10
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if _, err := f.Append(t.Context(), at(0)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { defer close(done); wg.Wait() }()
	last := chat.Seq(0)
	read := func() (n int) {
		got := page(t, f, last, time.Time{}, 7)
		for _, e := range got.Events {
			if e.Seq != last+1 {
				t.Errorf("after %d came %d", last, e.Seq)
			}
			last = e.Seq
		}
		return len(got.Events)
	}
	for finished := false; !finished; {
		select {
		case <-done:
			finished = true
		default:
			read()
		}
	}
	for read() > 0 {
	}
	if last != writers*each {
		t.Errorf("saw %d of %d", last, writers*each)
	}
}

func renewal(t *testing.T, f Feed) {
	t.Helper()
	add(t, f, at(0))
	before := page(t, f, 0, time.Time{}, 10)
	if err := f.Renew(t.Context(), "another"); err != nil {
		t.Fatal(err)
	}
	add(t, f, at(0))
	after := page(t, f, 0, time.Time{}, 10)
	name, err := f.Name(t.Context())
	if err != nil || before.Log == "another" || after.Log != "another" || name != "another" || seqs(after) != "1 2 " || after.Head != 2 {
		t.Errorf("%+v, then %+v, called %q: %v", before, after, name, err)
	}
}
