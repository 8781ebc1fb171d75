package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/auth/internal/account"
)

func accountsAreFound(s suite) {
	t := s.t
	want := anAccount("Ada")
	want.Staff, want.Disabled, want.Generation = true, true, 7
	create(t, s, want)
	if got := must[account.Account](t)(s.AccountByName(t.Context(), tenant, same("ada"))); got != want {
		t.Errorf("by name: %+v, want %+v", got, want)
	}
	if got := must[account.Account](t)(s.AccountByID(t.Context(), tenant, want.ID)); got != want {
		t.Errorf("by id: %+v, want %+v", got, want)
	}
	_, err := s.AccountByName(t.Context(), tenant, same("Ada"))
	wantCode(t, "keys are compared as they are", err, chat.CodeNotFound)
	_, err = s.AccountByID(t.Context(), tenant, "nobody")
	wantCode(t, "no such id", err, chat.CodeNotFound)
}

func namesAreUnique(s suite) {
	t := s.t
	create(t, s, anAccount("Ada"))
	second := anAccount("Ada")
	second.ID = "other"
	wantCode(t, "a taken name", s.CreateAccount(t.Context(), second), chat.CodeConflict)
	second.Tenant = "elsewhere"
	wantCode(t, "a name taken in another tenant", s.CreateAccount(t.Context(), second), "")
	var made, taken atomic.Int32
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			a := anAccount("Bob")
			a.ID = chat.UserID(fmt.Sprint(i))
			err := s.CreateAccount(t.Context(), a)
			if err == nil {
				made.Add(1)
			} else if taken.Add(1); chat.CodeOf(err) != chat.CodeConflict {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 || taken.Load() != 9 {
		t.Errorf("of ten at once %d were made and %d refused", made.Load(), taken.Load())
	}
}

func tenantsAreApart(s suite) {
	t := s.t
	const other = chat.TenantID("other")
	a := create(t, s, anAccount("Ada"))
	sess := begin(t, s, aSession("S1", a.User(), 1))
	_, err := s.AccountByName(t.Context(), other, a.Forms)
	wantCode(t, "account by key", err, chat.CodeNotFound)
	_, err = s.AccountByID(t.Context(), other, a.ID)
	wantCode(t, "account by id", err, chat.CodeNotFound)
	if list := must[[]account.Account](t)(s.Accounts(t.Context(), other, account.Forms{}, "", 10)); len(list) != 0 {
		t.Error("listed", list)
	}
	_, _, err = s.ChangeAccount(t.Context(), other, a.ID, Start, func(*account.Account, int) (account.Effect, error) {
		return account.Effect{Erase: true, End: true}, nil
	})
	wantCode(t, "change", err, chat.CodeNotFound)
	if err = s.SetHash(t.Context(), other, a.ID, a.Hash, "stolen"); err != nil {
		t.Error(err)
	}
	_, err = s.SessionByID(t.Context(), other, sess.ID)
	wantCode(t, "session", err, chat.CodeNotFound)
	if events := endSession(t, s, other, sess.ID); len(events) != 0 {
		t.Error("ended", events)
	}
	if has := must[bool](t)(s.HasAdmin(t.Context(), other)); has {
		t.Error("has an administrator")
	}
	if got := must[account.Account](t)(s.AccountByID(t.Context(), tenant, a.ID)); got != a {
		t.Errorf("changed to %+v", got)
	}
	must[any](t)(s.SessionByID(t.Context(), tenant, sess.ID))
}

func accountsAreListed(s suite) {
	t := s.t
	for _, name := range []string{"zoe", "Ada", "b_b", "b%b", "o'neil", "élan", "bob"} {
		create(t, s, anAccount(name))
	}
	names := func(part, after string, limit int) string {
		var text strings.Builder
		for _, a := range must[[]account.Account](t)(s.Accounts(t.Context(), tenant, same(part), after, limit)) {
			text.WriteString(a.Key + " ")
		}
		return text.String()
	}
	for _, c := range []struct {
		part, after string
		limit       int
		want        string
	}{
		{"", "", 10, "ada b%b b_b bob o'neil zoe élan "},
		{"", "", 3, "ada b%b b_b "},
		{"", "b_b", 2, "bob o'neil "},
		{"", "élan", 2, ""},
		{"b", "", 10, "b%b b_b bob "},
		{"b", "b%b", 10, "b_b bob "},
		{"_", "", 10, "b_b "},
		{"%", "", 10, "b%b "},
		{"'", "", 10, "o'neil "},
		{"lan", "", 10, "élan "},
		{"x", "", 10, ""},
	} {
		if got := names(c.part, c.after, c.limit); got != c.want {
			t.Errorf("%q after %q, %d at most: %q, want %q", c.part, c.after, c.limit, got, c.want)
		}
	}
}

func changesAreWhole(s suite) {
	t := s.t
	a := create(t, s, anAccount("Ada"))
	sess := begin(t, s, aSession("S1", a.User(), 1))
	no := errors.New("no")
	_, _, err := s.ChangeAccount(t.Context(), tenant, a.ID, Start, func(a *account.Account, _ int) (account.Effect, error) {
		a.Staff = true
		return account.Effect{Revoke: true, End: true}, no
	})
	if !errors.Is(err, no) {
		t.Error("the error of change came back as", err)
	}
	if got := must[account.Account](t)(s.AccountByID(t.Context(), tenant, a.ID)); got != a {
		t.Errorf("an undone change left %+v", got)
	}
	must[any](t)(s.SessionByID(t.Context(), tenant, sess.ID))
	if page := must[lobby.Page](t)(s.LobbyPage(t.Context(), 0, Start, 10)); page.Head != 0 || len(page.Events) != 0 {
		t.Errorf("an undone change left %+v", page)
	}
	got, events, err := s.ChangeAccount(t.Context(), tenant, a.ID, Start, func(a *account.Account, _ int) (account.Effect, error) {
		a.Staff, a.Disabled, a.Hash = true, true, "new"
		return account.Effect{}, nil
	})
	want := a
	want.Staff, want.Disabled, want.Hash = true, true, "new"
	if err != nil || got != want || len(events) != 0 {
		t.Errorf("%+v %v %v", got, events, err)
	}
	if got := must[account.Account](t)(s.AccountByID(t.Context(), tenant, a.ID)); got != want {
		t.Errorf("stored %+v, want %+v", got, want)
	}
}

func effectsGoWithTheChange(s suite) {
	t := s.t
	a, b := create(t, s, anAccount("Ada")), create(t, s, anAccount("Bob"))
	begin(t, s, aSession("S1", a.User(), 1))
	begin(t, s, aSession("S2", a.User(), 1))
	begin(t, s, aSession("S3", b.User(), 1))
	apply := func(id chat.UserID, effect account.Effect) (account.Account, []lobby.Event) {
		t.Helper()
		got, events, err := s.ChangeAccount(t.Context(), tenant, id, Start, func(*account.Account, int) (account.Effect, error) { return effect, nil })
		if err != nil {
			t.Fatal(err)
		}
		return got, events
	}
	want := lobby.Event{Seq: 1, Kind: lobby.GenerationRaised, Tenant: tenant, At: chat.At(Start), User: a.ID, Generation: 2}
	got, events := apply(a.ID, account.Effect{Revoke: true})
	if got.Generation != 2 || len(events) != 1 || events[0] != want {
		t.Errorf("%+v %+v", got, events)
	}
	if sess := must[int64](t)(generationOf(t, s, "S1")); sess != 2 {
		t.Error("the session shows generation", sess)
	}
	if _, events := apply(a.ID, account.Effect{Revoke: true, End: true}); events[0].Seq != 2 || events[0].Generation != 3 {
		t.Errorf("%+v", events)
	}
	for _, id := range []chat.SessionID{"S1", "S2"} {
		_, err := s.SessionByID(t.Context(), tenant, id)
		wantCode(t, "an ended session", err, chat.CodeNotFound)
	}
	must[any](t)(s.SessionByID(t.Context(), tenant, "S3"))
	begin(t, s, aSession("S4", a.User(), 3))
	if _, events := apply(a.ID, account.Effect{Revoke: true, End: true, Erase: true}); events[0].Seq != 3 || events[0].Generation != 4 {
		t.Errorf("%+v", events)
	}
	_, err := s.AccountByName(t.Context(), tenant, a.Forms)
	wantCode(t, "an erased account", err, chat.CodeNotFound)
	_, err = s.SessionByID(t.Context(), tenant, "S4")
	wantCode(t, "an erased account's session", err, chat.CodeNotFound)
	create(t, s, anAccount("Ada")) // the name is free
	if page := must[lobby.Page](t)(s.LobbyPage(t.Context(), 0, Start, 10)); page.Head != 3 || len(page.Events) != 3 || page.Events[0] != want {
		t.Errorf("the lobby has %+v", page)
	}
}

func generationOf(t *testing.T, s Store, id chat.SessionID) (int64, error) {
	t.Helper()
	sess, err := s.SessionByID(t.Context(), tenant, id)
	return sess.Generation, err
}

// Administrators who take each other's rights at the same moment: the count holds until the commit.
func anAdministratorStays(s suite) {
	t := s.t
	const n = 8
	for i := range n {
		a := anAccount(fmt.Sprint("admin", i))
		a.Staff = true
		create(t, s, a)
	}
	last := errors.New("the last one")
	var refused atomic.Int32
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			id := anAccount(fmt.Sprint("admin", i)).ID
			_, _, err := s.ChangeAccount(t.Context(), tenant, id, Start, func(a *account.Account, others int) (account.Effect, error) {
				if others == 0 {
					return account.Effect{}, last
				}
				a.Staff = i%2 == 0 // taken, or else disabled
				a.Disabled = i%2 == 0
				return account.Effect{Revoke: true}, nil
			})
			if errors.Is(err, last) {
				refused.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if refused.Load() != 1 {
		t.Errorf("%d of %d were refused", refused.Load(), n)
	}
	if has := must[bool](t)(s.HasAdmin(t.Context(), tenant)); !has {
		t.Error("nobody is left")
	}
}

func oneFirstAdministrator(s suite) {
	t := s.t
	create(t, s, anAccount("Ada"))
	disabled := anAccount("Old")
	disabled.Staff, disabled.Disabled = true, true
	create(t, s, disabled)
	if has := must[bool](t)(s.HasAdmin(t.Context(), tenant)); has {
		t.Error("a user or a disabled one counts as an administrator")
	}
	taken := anAccount("Ada")
	taken.ID, taken.Staff = "x", true
	_, err := s.CreateFirstAdmin(t.Context(), taken)
	wantCode(t, "a taken name", err, chat.CodeConflict)
	var made atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			a := anAccount(fmt.Sprint("admin", i))
			a.Staff = true
			ok, err := s.CreateFirstAdmin(t.Context(), a)
			if err != nil {
				t.Error(err)
			}
			if ok {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	list := must[[]account.Account](t)(s.Accounts(t.Context(), tenant, same("admin"), "", 10))
	if made.Load() != 1 || len(list) != 1 {
		t.Errorf("%d were made, %d are there", made.Load(), len(list))
	}
}

func hashesAreSetIfStillOld(s suite) {
	t := s.t
	a := create(t, s, anAccount("Ada"))
	for _, step := range []struct{ old, fresh, want string }{
		{a.Hash, "second", "second"},
		{a.Hash, "late", "second"},
		{"second", "third", "third"},
	} {
		if err := s.SetHash(t.Context(), tenant, a.ID, step.old, step.fresh); err != nil {
			t.Fatal(err)
		}
		if got := must[account.Account](t)(s.AccountByID(t.Context(), tenant, a.ID)); got.Hash != step.want {
			t.Errorf("%+v left %q", step, got.Hash)
		}
	}
}
