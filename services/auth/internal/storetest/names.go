package storetest

import (
	"slices"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/services/auth/internal/account"
)

func namesAreFoundInAllForms(s suite) {
	t := s.t
	a := anAccount("Straße")
	a.Key, a.Folded, a.Skeleton = "straße", "strasse", "5tra55e"
	create(t, s, a)
	for _, name := range []account.Forms{a.Forms, {Key: "straße"}, {Key: "strasse", Folded: "strasse"}} {
		if got := must[account.Account](t)(s.AccountByName(t.Context(), tenant, name)); got != a {
			t.Errorf("%+v: %+v, want %+v", name, got, a)
		}
		if list := must[[]account.Account](t)(s.Accounts(t.Context(), tenant, name, "", 10)); len(list) != 1 {
			t.Errorf("%+v lists %+v", name, list)
		}
	}
	_, err := s.AccountByName(t.Context(), tenant, account.Forms{Key: "stra"})
	wantCode(t, "another name", err, chat.CodeNotFound)
	for what, other := range map[string]account.Account{
		"key":      {Forms: account.Forms{Key: "straße", Folded: "1"}, Skeleton: "1"},
		"folded":   {Forms: account.Forms{Key: "1", Folded: "strasse"}, Skeleton: "1"},
		"skeleton": {Forms: account.Forms{Key: "1", Folded: "1"}, Skeleton: "5tra55e"},
	} {
		other.Tenant, other.ID, other.Username, other.Generation = tenant, "other", what, 1
		wantCode(t, "the same "+what, s.CreateAccount(t.Context(), other), chat.CodeConflict)
		other.Staff = true
		_, err := s.CreateFirstAdmin(t.Context(), other)
		wantCode(t, "an administrator of the same "+what, err, chat.CodeConflict)
	}
	for want, skeletons := range map[bool][]string{true: {"none", "5tra55e"}, false: {"strasse", "5tra"}} {
		if got := must[bool](t)(s.Resembling(t.Context(), tenant, skeletons)); got != want {
			t.Errorf("%q: %v", skeletons, got)
		}
	}
	if must[bool](t)(s.Resembling(t.Context(), "other", []string{"5tra55e"})) {
		t.Error("another tenant's account resembles")
	}
}

// Accounts of an older release, two of which are one by the new rule.
func namesAreFilledIn(s suite) {
	t := s.t
	for i, name := range []string{"second", "First", "Third", "first"} {
		a := anAccount(name)
		a.ID, a.Forms, a.Skeleton = chat.UserID(name), account.Forms{Key: name}, ""
		a.Created = Start.Add(time.Duration(i) * time.Second)
		create(t, s, a)
	}
	create(t, s, anAccount("New"))
	var asked []string
	nameOf := func(username string) account.Name {
		asked = append(asked, username)
		return account.NameOf(username)
	}
	filled := 0
	for n := -1; n != 0; filled += n {
		n = must[int](t)(s.FillNames(t.Context(), account.NameRule, nameOf))
	}
	if want := []string{"second", "First", "Third", "first"}; filled != 4 || !slices.Equal(asked, want) {
		t.Errorf("%d filled: %q, want %q", filled, asked, want)
	}
	folded := func(id chat.UserID, want string) {
		t.Helper()
		if got := must[account.Account](t)(s.AccountByID(t.Context(), tenant, id)); got.Folded != want || (got.Skeleton == "") != (want == "") {
			t.Errorf("%+v, want %q", got, want)
		}
	}
	folded("second", "second")
	folded("First", "first")
	folded("first", "") // taken
	if a := must[account.Account](t)(s.AccountByName(t.Context(), tenant, account.FormsOf("first"))); a.ID != "first" {
		t.Errorf("the later one is not found by its own name, but %+v", a)
	}
	if a := must[account.Account](t)(s.AccountByName(t.Context(), tenant, account.Forms{Key: "FIRST", Folded: "first"})); a.ID != "First" {
		t.Errorf("the older one is not found by the new rule, but %+v", a)
	}
	if n := must[int](t)(s.FillNames(t.Context(), account.NameRule, account.NameOf)); n != 0 {
		t.Errorf("%d are filled again", n)
	}
}

// Tokens that one token was answered with know which of them was used first.
func siblingsAreTold(s suite) {
	t := s.t
	begin(t, s, aSession("S1", guest("Ada"), 0))
	at := func(n int) time.Time { return Start.Add(time.Duration(n) * time.Second) }
	use(t, s, "S1", "first of S1", "a", at(1), 9)
	use(t, s, "S1", "first of S1", "b", at(2), 9)
	use(t, s, "S1", "first of S1", "c", at(3), 9)
	if old := use(t, s, "S1", "b", "b2", at(4), 9); len(old.Sibling) != 0 || !old.SiblingUsed.IsZero() {
		t.Errorf("the first to be used: %+v", old)
	}
	if old := use(t, s, "S1", "a", "a2", at(5), 9); string(old.Sibling) != "b" || !old.SiblingUsed.Equal(at(4)) {
		t.Errorf("the second: %+v", old)
	}
	if old := use(t, s, "S1", "c", "c2", at(6), 9); string(old.Sibling) != "b" || !old.SiblingUsed.Equal(at(4)) {
		t.Errorf("the third: %+v", old)
	}
	if old := use(t, s, "S1", "b", "b3", at(7), 9); string(old.Sibling) != "a" || !old.SiblingUsed.Equal(at(5)) {
		t.Errorf("the first again: %+v", old)
	}
	if old := use(t, s, "S1", "b2", "b4", at(8), 9); old == nil || len(old.Sibling) != 0 {
		t.Errorf("a grandchild: %+v", old)
	}
	for _, hash := range []string{"a", "b", "c"} {
		if old := use(t, s, "S1", hash, "x", at(9), 9); old != nil {
			t.Errorf("%s is kept after the use of a grandchild: %+v", hash, old)
		}
	}
}
