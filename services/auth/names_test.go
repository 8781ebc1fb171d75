package auth

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/services/auth/internal/account"
)

func TestOneNameInManyForms(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		boss := s.admin()
		for name, same := range map[string][]string{
			"Σίσυφος": {"ΣΊΣΥΦΟΣ", "σίσυφοσ"}, "Straße": {"STRASSE", "strasse"}, "İrem": {"irem", "IREM", "ırem"},
			"ſam": {"Sam", "SAM"}, "Caf\u00e9": {"CAFE\u0301"}, "ﬁona": {"FIONA"},
		} {
			made := s.signup(name)
			for _, other := range same {
				if in := s.login(other, good).want(t, "login as "+other, 200); in.Body.User.User != made.Body.User.User {
					t.Errorf("%s is %s", other, in.Raw)
				}
				s.call("POST", "/api/auth/signup", obj{"username": other, "password": good}).want(t, "signup as "+other, 409)
				s.call("POST", "/api/auth/users", obj{"username": other, "password": good}, bearer(boss)...).want(t, "made by staff as "+other, 409)
				s.call("POST", "/api/auth/guest", obj{"name": other}).want(t, "guest as "+other, 409)
				if list := s.call("GET", "/api/auth/users?q="+url.QueryEscape(other), nil, bearer(boss)...).want(t, "list", 200); len(list.Body.Users) != 1 {
					t.Errorf("a search for %s lists %s", other, list.Raw)
				}
			}
		}
	})
}

func TestNobodyPosesAsSomebodyElse(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		s.signup("admin")
		for name, want := range map[string][2]int{ // of an account, of a guest
			"аdmin":         {400, 400}, // Cyrillic
			"аdmіn":         {400, 400},
			"αdmin":         {400, 400}, // Greek
			"admın":         {409, 409},
			"adm1n":         {409, 409},
			"ɑdmin":         {409, 409}, // a Latin alpha
			"admin (staff)": {400, 400},
			"admin [Owner]": {400, 400},
			"admin (sales)": {201, 409},
			"~admin~":       {201, 409},
			"admin 😀":       {201, 409},
			"\u2800":        {400, 400}, // what looks blank
			"\u3164":        {400, 400},
			"\u034f":        {400, 400},
			"\u115f":        {400, 400},
			"\uffa0":        {400, 400},
			"admin\u3164":   {400, 400},
			"\u061cadmin":   {400, 400},
			"a\u2028b":      {400, 400},
			"Mira":          {201, 409},
			"Иван":          {201, 409},
		} {
			if a := s.call("POST", "/api/auth/signup", obj{"username": name, "password": good}); a.Status != want[0] {
				t.Errorf("signup as %q: %d %s", name, a.Status, a.Raw)
			}
			if a := s.call("POST", "/api/auth/guest", obj{"name": name}); a.Status != want[1] {
				t.Errorf("guest as %q: %d %s", name, a.Status, a.Raw)
			}
		}
		s.call("POST", "/api/auth/guest", obj{"name": "Mirabelle"}).want(t, "another guest", 200)
	})
}

// Accounts of an older release go on, whatever the rules would say of their names by now.
func TestAccountsOfAnOlderReleaseGoOn(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		hash := func() string {
			s.signup("Template")
			a, err := s.store.AccountByName(t.Context(), chat.DefaultTenant, account.FormsOf("Template"))
			if err != nil {
				t.Fatal(err)
			}
			return a.Hash
		}()
		old := []string{"Straße", "strasse", "аdmin", "admin", "admin (staff)", "Σίσυφος"}
		for i, name := range old { // with the one form that it knew
			a := account.Account{
				Tenant: chat.DefaultTenant, ID: chat.UserID(fmt.Sprint("OLD", i)), Username: name, Forms: account.Forms{Key: account.FormsOf(name).Key},
				Hash: hash, Generation: 1, Created: s.clock.Now().Add(time.Duration(i) * time.Second),
			}
			if err := s.store.CreateAccount(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
		all := func(what string) {
			t.Helper()
			for i, name := range old {
				if in := s.login(name, good).want(t, what+": "+name, 200); in.Body.User.ID != chat.UserID(fmt.Sprint("OLD", i)) {
					t.Errorf("%s: %s is %s", what, name, in.Raw)
				}
			}
		}
		all("beside the older release")
		s.call("POST", "/api/auth/guest", obj{"name": "straße"}).want(t, "a guest, meanwhile", 409)
		sweep := &sweeper{sessions: s.sessions, store: s.store, now: s.clock.Now, log: s.logger()}
		if err := sweep.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		all("once filled in")
		s.login("ΣΊΣΥΦΟΣ", good).want(t, "a new form", 200)
		if in := s.login("STRASSE", good).want(t, "of both", 200); in.Body.User.ID != "OLD1" {
			t.Errorf("by its own key: %s", in.Raw)
		}
		s.call("POST", "/api/auth/signup", obj{"username": "adm1n", "password": good}).want(t, "one that looks like an old one", 409)
		s.stop()
		s = startAt(t, s.config, s.clock)
		all("at the next start")
	})
}

// Neighbours of a guesser, who are known there, get in with the right password.
func TestNeighboursOfAGuesserGetIn(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		in := s.call("POST", "/api/auth/signup", obj{"username": "Ada", "password": good}, from("6.6.6.1")...).want(t, "signup", 201)
		s.signup("Bob")
		bob := s.login("Bob", good, from("7.7.7.7")...).want(t, "login elsewhere", 200)
		s.call("POST", "/api/auth/refresh", obj{"refresh_token": bob.Body.RefreshToken}, from("6.6.6.2")...).want(t, "Bob is at work there", 200)
		for i := range 60 {
			s.login(fmt.Sprint("user", i), "a wrong guess", from("6.6.6.6")...)
		}
		s.login("Cem", "a wrong guess", from("6.6.6.6")...).want(t, "the guesser", 429)
		s.login("ADA", good, from("6.6.6.7")...).want(t, "who signed up there", 200)
		s.login("Bob", good, from("6.6.6.8")...).want(t, "who renewed a session there", 200)
		s.me(in).want(t, "the session", 200)
	})
}

// However a name is written, its tries are counted as one.
func TestFormsOfANameShareTheirTries(t *testing.T) {
	s := lite(t)
	forms := []string{"Straße", "STRASSE", "straSSe", "ＳＴＲＡＳＳＥ", "StraßE"}
	for _, name := range forms {
		s.login(name, "a wrong guess", from("6.6.6.6")...).want(t, name, 401)
	}
	s.login("strasse", "a wrong guess", from("6.6.6.6")...).want(t, "one more", 429)
}
