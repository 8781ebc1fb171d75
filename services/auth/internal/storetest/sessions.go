package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/session"
)

func sessionsAreFound(s suite) {
	t := s.t
	a := anAccount("Ada")
	a.Staff, a.Generation = true, 5
	create(t, s, a)
	for _, want := range []session.Session{aSession("S1", a.User(), 5), aSession("S2", guest("Ada"), 0)} {
		begin(t, s, want)
		if got := must[session.Session](t)(s.SessionByID(t.Context(), tenant, want.ID)); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	_, err := s.SessionByID(t.Context(), tenant, "S3")
	wantCode(t, "no session", err, chat.CodeNotFound)
}

func noSessionForWhoIsOut(s suite) {
	t := s.t
	a := create(t, s, anAccount("Ada"))
	try := func(what string, u chat.User, generation int64, want chat.Code) {
		t.Helper()
		err := s.CreateSession(t.Context(), aSession(what, u, generation), session.Refresh{Hash: []byte(what), Issued: Start})
		wantCode(t, what, err, want)
		_, err = s.SessionByID(t.Context(), tenant, chat.SessionID(what))
		if (err == nil) != (want == "") {
			t.Errorf("%s: the session is there: %v", what, err)
		}
	}
	try("of another generation", a.User(), 2, chat.CodeUnauthenticated)
	try("of no account", chat.User{ID: "nobody", Name: "x", Kind: chat.KindUser}, 1, chat.CodeUnauthenticated)
	try("fine", a.User(), 1, "")
	_, _, err := s.ChangeAccount(t.Context(), tenant, a.ID, Start, func(a *account.Account, _ int) (account.Effect, error) {
		a.Disabled = true
		return account.Effect{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	try("of a disabled account", a.User(), 1, chat.CodeUnauthenticated)
	_, err = s.SessionByID(t.Context(), tenant, "fine")
	wantCode(t, "a disabled account's session", err, chat.CodeNotFound)
	err = s.RotateSession(t.Context(), tenant, "fine", []byte("fine"), nil)
	wantCode(t, "rotating a disabled account's session", err, chat.CodeNotFound)
}

// use uses the token of that hash and gives out next, as the session's rules do.
func use(t *testing.T, s Store, id chat.SessionID, hash, next string, at time.Time, kept int) (found *session.Refresh) {
	t.Helper()
	err := s.RotateSession(t.Context(), tenant, id, []byte(hash), func(_ session.Session, old *session.Refresh) (session.Rotation, error) {
		found = old
		if old == nil {
			return session.Rotation{}, errNone
		}
		return session.Rotation{Next: session.Refresh{Hash: []byte(next), Parent: []byte(hash), Issued: at}, First: old.Used.IsZero(), Keep: kept}, nil
	})
	if err != nil && !errors.Is(err, errNone) {
		t.Fatal(err)
	}
	return found
}

var errNone = errors.New("no token")

func refreshTokensRotate(s suite) {
	t := s.t
	sess := begin(t, s, aSession("S1", guest("Ada"), 0))
	begin(t, s, aSession("S2", guest("Bob"), 0))
	at := Start.Add(time.Minute)
	if old := use(t, s, "S1", "first of S1", "second", at, 9); old == nil || string(old.Hash) != "first of S1" || len(old.Parent) != 0 || !old.Issued.Equal(Start) || !old.Used.IsZero() {
		t.Errorf("the first: %+v", old)
	}
	if got := must[session.Session](t)(s.SessionByID(t.Context(), tenant, sess.ID)); !got.Used.Equal(at) || !got.Created.Equal(Start) {
		t.Errorf("after a use: %+v", got)
	}
	if old := use(t, s, "S1", "first of S1", "twin", at.Add(time.Second), 9); old == nil || !old.Used.Equal(at) {
		t.Errorf("the first again: %+v", old)
	}
	if old := use(t, s, "S1", "second", "third", at.Add(time.Minute), 9); old == nil || !old.Used.IsZero() || string(old.Parent) != "first of S1" {
		t.Errorf("the second: %+v", old)
	}
	if old := use(t, s, "S1", "first of S1", "x", at, 9); old != nil {
		t.Errorf("the first is kept after the use of the second: %+v", old)
	}
	if old := use(t, s, "S1", "twin", "fourth", at, 9); old == nil {
		t.Error("the second's twin is gone")
	}
	if old := use(t, s, "S2", "third", "x", at, 9); old != nil {
		t.Errorf("another session's token was taken: %+v", old)
	}
	if old := use(t, s, "S1", "made up", "x", at, 9); old != nil {
		t.Errorf("a made-up token was found: %+v", old)
	}
	no := errors.New("no")
	err := s.RotateSession(t.Context(), tenant, "S1", []byte("third"), func(session.Session, *session.Refresh) (session.Rotation, error) {
		return session.Rotation{Next: session.Refresh{Hash: []byte("x")}, First: true, Keep: 9}, no
	})
	if !errors.Is(err, no) {
		t.Error(err)
	}
	if old := use(t, s, "S1", "third", "fifth", at, 9); old == nil || !old.Used.IsZero() {
		t.Errorf("a refused use left %+v", old)
	}
	err = s.RotateSession(t.Context(), tenant, "S3", []byte("first of S1"), nil)
	wantCode(t, "no session", err, chat.CodeNotFound)
}

func rotationsComeOneAfterTheOther(s suite) {
	t := s.t
	begin(t, s, aSession("S1", guest("Ada"), 0))
	var first, again atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			old := use(t, s, "S1", "first of S1", fmt.Sprint("next", i), Start.Add(time.Second), 99)
			switch {
			case old == nil:
				t.Error("the token was not found")
			case old.Used.IsZero():
				first.Add(1)
			default:
				again.Add(1)
			}
		})
	}
	wg.Wait()
	if first.Load() != 1 || again.Load() != 19 {
		t.Errorf("%d were the first, %d came again", first.Load(), again.Load())
	}
}

func fewTokensAreKept(s suite) {
	t := s.t
	begin(t, s, aSession("S1", guest("Ada"), 0))
	for i := range 10 {
		use(t, s, "S1", "first of S1", fmt.Sprint("next", i), Start.Add(time.Duration(i)*time.Second), 4)
	}
	if use(t, s, "S1", "first of S1", "another", Start.Add(time.Minute), 4) == nil {
		t.Error("the old token, still in use, was dropped")
	}
	if use(t, s, "S1", "next0", "x", Start, 4) != nil {
		t.Error("the oldest was kept")
	}
	if use(t, s, "S1", "next9", "y", Start.Add(time.Hour), 4) == nil {
		t.Error("one of the youngest was dropped")
	}
}

func sessionsEndOnce(s suite) {
	t := s.t
	begin(t, s, aSession("S1", guest("Ada"), 0))
	events := endSession(t, s, tenant, "S1")
	want := lobby.Event{Seq: 1, Kind: lobby.SessionEnded, Tenant: tenant, At: chat.At(Start), User: "GAda", Session: "S1"}
	if len(events) != 1 || events[0] != want {
		t.Errorf("%+v", events)
	}
	_, err := s.SessionByID(t.Context(), tenant, "S1")
	wantCode(t, "ended", err, chat.CodeNotFound)
	err = s.RotateSession(t.Context(), tenant, "S1", []byte("first of S1"), nil)
	wantCode(t, "rotating what has ended", err, chat.CodeNotFound)
	if events := endSession(t, s, tenant, "S1"); len(events) != 0 {
		t.Errorf("ended again: %+v", events)
	}
	if page := must[lobby.Page](t)(s.LobbyPage(t.Context(), 0, Start, 9)); page.Head != 1 || len(page.Events) != 1 || page.Events[0] != want {
		t.Errorf("the lobby has %+v", page)
	}
}

func sessionsAreSwept(s suite) {
	t := s.t
	put := func(id string, created, used time.Duration) {
		sess := aSession(id, guest("Ada"), 0)
		sess.Created, sess.Used = Start.Add(created), Start.Add(used)
		begin(t, s, sess)
	}
	put("OLD", -10*time.Hour, -time.Hour)
	put("IDLE", -5*time.Hour, -4*time.Hour)
	put("LIVE", -5*time.Hour, -time.Hour)
	n := must[int](t)(s.SweepSessions(t.Context(), Start.Add(-9*time.Hour), Start.Add(-3*time.Hour)))
	if n != 2 {
		t.Errorf("%d were swept", n)
	}
	for id, want := range map[chat.SessionID]chat.Code{"OLD": chat.CodeNotFound, "IDLE": chat.CodeNotFound, "LIVE": ""} {
		_, err := s.SessionByID(t.Context(), tenant, id)
		wantCode(t, string(id), err, want)
	}
	if page := must[lobby.Page](t)(s.LobbyPage(t.Context(), 0, Start, 9)); page.Head != 0 {
		t.Errorf("what ended by age was told: %+v", page)
	}
}
