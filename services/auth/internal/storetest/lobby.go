package storetest

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/auth/internal/keys"
)

func aKey(id string) keys.Key {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, id)
	return keys.Key{ID: id, Private: ed25519.NewKeyFromSeed(seed), Created: Start}
}

func keysAreKept(s suite) {
	t := s.t
	a, b := aKey("a"), aKey("b")
	a.Activated, a.Retires = Start.Add(time.Hour), Start.Add(2*time.Hour)
	put := func(list ...keys.Key) {
		t.Helper()
		got, err := s.ChangeSigningKeys(t.Context(), func([]keys.Key) ([]keys.Key, error) { return list, nil })
		if err != nil || len(got) != len(list) {
			t.Fatal(got, err)
		}
	}
	want := func(list ...keys.Key) {
		t.Helper()
		got := must[[]keys.Key](t)(s.SigningKeys(t.Context()))
		slices.SortFunc(got, func(a, b keys.Key) int { return strings.Compare(a.ID, b.ID) })
		if len(got) != len(list) || len(list) > 0 && !reflect.DeepEqual(got, list) {
			t.Errorf("got %+v, want %+v", got, list)
		}
	}
	want()
	put(a, b)
	want(a, b)
	no := errors.New("no")
	if _, err := s.ChangeSigningKeys(t.Context(), func([]keys.Key) ([]keys.Key, error) { return nil, no }); !errors.Is(err, no) {
		t.Error(err)
	}
	want(a, b)
	put(b)
	want(b)
}

func keyChangesDontGetLost(s suite) {
	t := s.t
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			if _, err := s.ChangeSigningKeys(t.Context(), func(list []keys.Key) ([]keys.Key, error) {
				return append(list, aKey(fmt.Sprint("key", i))), nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if list := must[[]keys.Key](t)(s.SigningKeys(t.Context())); len(list) != 10 {
		t.Errorf("%d of 10 keys are there", len(list))
	}
}

// end ends a fresh session at that time, which writes one event.
func end(t *testing.T, s Store, id string, at time.Time) {
	t.Helper()
	begin(t, s, aSession(id, guest("Ada"), 0))
	must[any](t)(s.EndSession(t.Context(), tenant, chat.SessionID(id), at))
}

func seqs(page lobby.Page) (text string) {
	for _, e := range page.Events {
		text += fmt.Sprint(e.Seq, " ")
	}
	return text
}

func theLobbyIsPaged(s suite) {
	t := s.t
	log := must[chat.LogID](t)(s.LobbyLog(t.Context()))
	empty := must[lobby.Page](t)(s.LobbyPage(t.Context(), 0, time.Time{}, 10))
	if log == "" || empty.Log != log || empty.Head != 0 || len(empty.Events) != 0 {
		t.Fatalf("%q %+v", log, empty)
	}
	// One by one an hour, but for the third: its pod's clock is slow.
	for i, hour := range []int{1, 2, 0, 4, 5} {
		end(t, s, fmt.Sprint("S", i), Start.Add(time.Duration(hour)*time.Hour))
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
			since = Start.Add(time.Duration(c.hour) * time.Hour)
		}
		page := must[lobby.Page](t)(s.LobbyPage(t.Context(), c.after, since, c.limit))
		if got := seqs(page); got != c.want || page.Head != 5 || page.Log != log {
			t.Errorf("%+v: %q of %d", c, got, page.Head)
		}
	}
	if err := s.PruneLobby(t.Context(), Start.Add(3*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if page := must[lobby.Page](t)(s.LobbyPage(t.Context(), 0, time.Time{}, 10)); seqs(page) != "4 5 " || page.Head != 5 {
		t.Errorf("pruned to %+v", page)
	}
	end(t, s, "S9", Start)
	if page := must[lobby.Page](t)(s.LobbyPage(t.Context(), 5, time.Time{}, 10)); seqs(page) != "6 " {
		t.Errorf("after pruning: %+v", page)
	}
}

// Whoever reads while others write sees every event once, in order.
func theLobbyHasNoHoles(s suite) {
	t := s.t
	const writers, each = 8, 10
	for i := range writers * each {
		begin(t, s, aSession(fmt.Sprint("S", i), guest("Ada"), 0))
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := s.EndSession(t.Context(), tenant, chat.SessionID(fmt.Sprint("S", w*each+i)), Start); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { defer close(done); wg.Wait() }()
	at := chat.Seq(0)
	read := func() (n int) {
		page := must[lobby.Page](t)(s.LobbyPage(t.Context(), at, time.Time{}, 7))
		for _, e := range page.Events {
			if e.Seq != at+1 {
				t.Errorf("after %d came %d", at, e.Seq)
			}
			at = e.Seq
		}
		return len(page.Events)
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
	if at != writers*each {
		t.Errorf("saw %d of %d", at, writers*each)
	}
}

// Another name, and the same events.
func theLobbyIsRenamed(s suite) {
	t := s.t
	end(t, s, "S1", Start)
	before := must[lobby.Page](t)(s.LobbyPage(t.Context(), 0, time.Time{}, 10))
	if err := s.RenewLobby(t.Context(), "another"); err != nil {
		t.Fatal(err)
	}
	end(t, s, "S2", Start)
	after := must[lobby.Page](t)(s.LobbyPage(t.Context(), 0, time.Time{}, 10))
	log := must[chat.LogID](t)(s.LobbyLog(t.Context()))
	if before.Log == "another" || after.Log != "another" || log != "another" || seqs(after) != "1 2 " || after.Head != 2 {
		t.Errorf("%+v, then %+v, called %q", before, after, log)
	}
}
