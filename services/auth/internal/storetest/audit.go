package storetest

import (
	"errors"
	"testing"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/session"
)

// entries are the actions and targets of all entries, newest first.
func entries(t *testing.T, s Store) (text string) {
	t.Helper()
	for _, e := range must[[]audit.Entry](t)(s.AuditPage(t.Context(), audit.Filter{Tenant: tenant, Limit: 100})) {
		text += string(e.Actor) + " " + string(e.Action) + " " + e.Target + "; "
	}
	return text
}

func actsAndEntriesGoTogether(s suite) {
	t := s.t
	by := audit.Origin{Actor: "BOSS"}
	entry := func(action audit.Action, target string) audit.Entry {
		return by.Entry(tenant, Start, action, target, nil)
	}
	step := func(want string) {
		t.Helper()
		if got := entries(t, s); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	admin := anAccount("Root")
	admin.Staff = true
	if made, err := s.CreateFirstAdmin(t.Context(), admin, entry(audit.AccountCreated, "ROOT")); err != nil || !made {
		t.Fatal(made, err)
	}
	if made, err := s.CreateFirstAdmin(t.Context(), anAccount("Late"), entry(audit.AccountCreated, "LATE")); err != nil || made {
		t.Fatal(made, err)
	}
	all := "BOSS account_created ROOT; "
	step(all)

	a := anAccount("Ada")
	if err := s.CreateAccount(t.Context(), a, entry(audit.AccountCreated, "ADA")); err != nil {
		t.Fatal(err)
	}
	all = "BOSS account_created ADA; " + all
	wantCode(t, "a taken name", s.CreateAccount(t.Context(), a, entry(audit.AccountCreated, "AGAIN")), chat.CodeConflict)
	step(all)

	change := func(effect account.Effect, err error) {
		t.Helper()
		_, _, got := s.ChangeAccount(t.Context(), tenant, a.ID, Start, func(*account.Account, int) (account.Effect, error) { return effect, err })
		if !errors.Is(got, err) {
			t.Fatal(got)
		}
	}
	change(account.Effect{Audit: []audit.Entry{entry(audit.StaffGranted, "ADA"), entry(audit.PasswordReset, "ADA")}}, nil)
	all = "BOSS password_reset ADA; BOSS staff_granted ADA; " + all
	change(account.Effect{Audit: []audit.Entry{entry(audit.AccountErased, "NO")}}, errNone)
	step(all)

	start := func(id string, u chat.User, generation int64, list ...audit.Entry) error {
		sess := aSession(id, u, generation)
		return s.CreateSession(t.Context(), sess, session.Refresh{Hash: []byte(id), Issued: Start}, list...)
	}
	wantCode(t, "a session of another generation", start("S0", a.User(), 7, entry(audit.SignedIn, "S0")), chat.CodeUnauthenticated)
	wantCode(t, "a session", start("S1", a.User(), 1, entry(audit.SignedIn, "S1")), "")
	wantCode(t, "a guest's session", start("S2", guest("Eve"), 0), "")
	all = "BOSS signed_in S1; " + all
	step(all)

	for id, want := range map[chat.SessionID]int{"S1": 1, "S2": 0, "S3": 0} {
		_, written, err := s.EndSession(t.Context(), tenant, id, Start, entry(audit.SessionEnded, string(id)))
		if err != nil || len(written) != want || want > 0 && written[0].Actor != a.ID {
			t.Errorf("%s: %+v %v", id, written, err)
		}
	}
	step("IDADA session_ended S1; " + all)

	change(account.Effect{Erase: true, Audit: []audit.Entry{entry(audit.AccountErased, "ADA")}}, nil)
	step("BOSS account_erased ADA; IDADA session_ended S1; " + all)
}
