package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/services/auth/internal/storetest"
)

func TestUsersAreForStaff(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		user := s.signup("Ada")
		guest := s.call("POST", "/api/auth/guest", obj{"name": "Bob"}).want(t, "guest", 200)
		path := "/api/auth/users/" + string(user.Body.User.ID)
		for _, c := range [][2]string{{"GET", "/api/auth/users"}, {"POST", "/api/auth/users"}, {"PATCH", path}, {"DELETE", path}} {
			s.call(c[0], c[1], obj{"username": "x", "password": good, "staff": true}).want(t, "nobody: "+c[0], 401)
			s.call(c[0], c[1], obj{"username": "x", "password": good, "staff": true}, bearer(user)...).want(t, "a user: "+c[0], 403)
			s.call(c[0], c[1], obj{"username": "x", "password": good, "staff": true}, bearer(guest)...).want(t, "a guest: "+c[0], 403)
		}
		boss := s.admin()
		s.call("PATCH", path, obj{"staff": true}, "Cookie", "parley_session="+boss.Body.AccessToken).want(t, "by cookie without an origin", 403)
		s.call("PATCH", path, obj{}, "Cookie", "parley_session="+boss.Body.AccessToken, "Origin", "http://example.com").want(t, "by cookie from our page", 200)
	})
}

func TestUsersAreListed(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		boss := s.admin()
		for _, name := range []string{"Zoe", "ada", "Adam", "Émile"} {
			s.call("POST", "/api/auth/users", obj{"username": name, "password": good}, bearer(boss)...).want(t, "create", 201)
		}
		list := func(query string) (names string, next string) {
			a := s.call("GET", "/api/auth/users?"+query, nil, bearer(boss)...).want(t, query, 200)
			for _, u := range a.Body.Users {
				names += u.Name + " "
			}
			return names, a.Body.Next
		}
		for query, want := range map[string]string{
			"":              "ada Adam admin Zoe Émile ",
			"q=AD":          "ada Adam admin ",
			"q=%C3%A9":      "Émile ",
			"q=nobody":      "",
			"q=%25":         "",
			"q=%00":         "ada Adam admin Zoe Émile ", // nothing is left of it
			"limit=0":       "ada ",
			"limit=1000000": "ada Adam admin Zoe Émile ",
		} {
			if names, _ := list(query); names != want {
				t.Errorf("%s: %q, want %q", query, names, want)
			}
		}
		all, next := list("limit=2")
		for pages := 0; next != "" && pages < 9; pages++ {
			var names string
			names, next = list("limit=2&cursor=" + next)
			all += names
		}
		if all != "ada Adam admin Zoe Émile " {
			t.Errorf("paged: %q", all)
		}
		for _, query := range []string{"limit=x", "cursor=%21", "cursor=AAA", "cursor=_w"} {
			s.call("GET", "/api/auth/users?"+query, nil, bearer(boss)...).want(t, query, 400)
		}
	})
}

func TestStaffChangesUsers(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		boss := s.admin()
		made := s.call("POST", "/api/auth/users", obj{"username": "Ada", "password": good, "staff": true}, bearer(boss)...).want(t, "create", 201)
		if !made.Body.User.Staff || made.Body.User.Name != "Ada" || made.Body.AccessToken != "" || made.Header.Get("Set-Cookie") != "" {
			t.Error(made.Raw, made.Header)
		}
		s.call("POST", "/api/auth/users", obj{"username": "ADA", "password": good}, bearer(boss)...).want(t, "a taken name", 409)
		s.call("POST", "/api/auth/users", obj{"username": "Bob", "password": "password"}, bearer(boss)...).want(t, "a common password", 400)
		path := "/api/auth/users/" + string(made.Body.User.ID)
		patch := func(body any) answer { return s.call("PATCH", path, body, bearer(boss)...) }
		head := s.events(0).Head
		raised := func(what string, want bool) {
			t.Helper()
			page := s.events(head)
			head = page.Head
			if want != (len(page.Events) == 1 && page.Events[0].Kind == lobby.GenerationRaised && page.Events[0].User == made.Body.User.ID) || !want && len(page.Events) > 0 {
				t.Errorf("%s: the lobby has %+v", what, page)
			}
		}

		in := s.login("Ada", good).want(t, "login", 200)
		patch(obj{"staff": true, "disabled": false}).want(t, "what is so already", 200)
		patch(obj{}).want(t, "nothing", 200)
		patch(obj{"staff": nil}).want(t, "null", 200)
		raised("no change", false)
		s.me(in).want(t, "after no change", 200)

		if a := patch(obj{"staff": false}).want(t, "demote", 200); a.Body.User.Staff {
			t.Error(a.Raw)
		}
		raised("demoted", true)
		s.me(in).want(t, "a token of the staff that was", 401)
		s.call("GET", "/api/auth/users", nil, bearer(in)...).want(t, "administration by that token", 401)
		in = s.refresh(in.Body.RefreshToken).want(t, "the session goes on", 200)
		if s.me(in).want(t, "me", 200); in.Body.User.Staff {
			t.Error("still staff:", in.Raw)
		}

		if a := patch(obj{"disabled": true}).want(t, "disable", 200); !a.Body.User.Disabled {
			t.Error(a.Raw)
		}
		raised("disabled", true)
		s.me(in).want(t, "a disabled account's token", 401)
		s.refresh(in.Body.RefreshToken).want(t, "a disabled account's refresh", 401)
		s.login("Ada", good).want(t, "a disabled account's login", 401)
		patch(obj{"disabled": false}).want(t, "enable", 200)
		raised("enabled", false)
		s.refresh(in.Body.RefreshToken).want(t, "a session of before", 401)
		in = s.login("Ada", good).want(t, "login", 200)

		patch(obj{"password": "password"}).want(t, "a common password", 400)
		patch(obj{"password": "Ada"}).want(t, "a short password", 400)
		raised("refused passwords", false)
		patch(obj{"password": "another good secret"}).want(t, "reset", 200)
		raised("reset", true)
		s.me(in).want(t, "a token of before the reset", 401)
		s.refresh(in.Body.RefreshToken).want(t, "a session of before the reset", 401)
		s.login("Ada", good).want(t, "the old password", 401)
		in = s.login("Ada", "another good secret").want(t, "the new password", 200)

		s.call("DELETE", path, nil, bearer(boss)...).want(t, "erase", 204)
		raised("erased", true)
		s.me(in).want(t, "an erased account's token", 401)
		s.refresh(in.Body.RefreshToken).want(t, "an erased account's refresh", 401)
		s.login("Ada", "another good secret").want(t, "an erased account's login", 401)
		s.call("DELETE", path, nil, bearer(boss)...).want(t, "erase again", 404)
		patch(obj{"staff": true}).want(t, "change what is erased", 404)
		for _, id := range []string{"nobody", "x%00y", "%FF", "a%20b", "'"} {
			s.call("PATCH", "/api/auth/users/"+id, obj{"staff": true}, bearer(boss)...).want(t, "id "+id, 404)
		}
		if again := s.signup("Ada"); again.Body.User.ID == made.Body.User.ID {
			t.Error("the name's next owner is the same user")
		}
	})
}

func TestTheLastAdministratorStays(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		boss := s.admin()
		own := "/api/auth/users/" + string(boss.Body.User.ID)
		s.call("POST", "/api/auth/users", obj{"username": "Old", "password": good, "staff": true}, bearer(boss)...).want(t, "create", 201)
		old := s.login("Old", good).want(t, "login", 200)
		oldPath := "/api/auth/users/" + string(old.Body.User.ID)
		s.call("PATCH", oldPath, obj{"disabled": true}, bearer(boss)...).want(t, "disable the other", 200)
		s.call("PATCH", own, obj{"staff": false}, bearer(boss)...).want(t, "demote the last", 409)
		s.call("PATCH", own, obj{"disabled": true}, bearer(boss)...).want(t, "disable the last", 409)
		s.call("DELETE", own, nil, bearer(boss)...).want(t, "erase the last", 409)
		s.me(boss).want(t, "the last", 200)
		s.call("PATCH", oldPath, obj{"disabled": false}, bearer(boss)...).want(t, "enable the other", 200)
		s.call("PATCH", own, obj{"staff": false}, bearer(boss)...).want(t, "demote oneself beside another", 200)
		s.call("PATCH", oldPath, obj{"disabled": true}, bearer(boss)...).want(t, "no longer staff", 401)
	})
}

// What auth revokes, another service refuses: it follows the lobby by range, with Redis as a hint.
func TestOthersLearnOfRevocations(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		boss := s.admin()
		ada, bob := s.signup("Ada"), s.signup("Bob")
		base := s.listen(s.internal)
		set, err := token.NewKeySet([]string{base}, http.DefaultClient, s.logger(), s.clock.Now)
		if err != nil {
			t.Fatal(err)
		}
		running(t, set)
		revocations := token.NewRevocations(s.clock.Now)
		verifier, err := token.NewVerifier("parley", set, revocations, s.clock.Now)
		if err != nil {
			t.Fatal(err)
		}
		holds := func(a answer) bool {
			_, err := verifier.Verify(t.Context(), a.Body.AccessToken)
			return err == nil
		}
		if !holds(ada) || !holds(bob) || !holds(boss) {
			t.Fatal("fresh tokens are refused")
		}
		s.call("POST", "/api/auth/logout", nil, bearer(ada)...).want(t, "logout", 204)
		s.call("PATCH", "/api/auth/users/"+string(bob.Body.User.ID), obj{"disabled": true}, bearer(boss)...).want(t, "disable", 200)
		page := s.events(0)
		for _, e := range page.Events {
			revocations.Apply(e)
		}
		if holds(ada) || holds(bob) || !holds(boss) {
			t.Errorf("after %+v: ada %v, bob %v, boss %v", page, holds(ada), holds(bob), holds(boss))
		}
		if announced := announced(t, page.Log, 2); announced[1] != page.Events[1] {
			t.Errorf("announced %+v, want %+v", announced, page.Events)
		}

		for what, header := range map[string][]string{
			"no credential":    nil,
			"a wrong one":      {"Authorization", "Bearer wrong"},
			"a person's token": bearer(boss),
		} {
			call(t, s.internal, "POST", lobby.PathEvents, obj{"limit": 1}, header...).want(t, what, 401)
		}
		s.call("POST", lobby.PathEvents, obj{"limit": 1}, "Authorization", "Bearer "+credential).want(t, "on the public listener", 404)
		call(t, s.internal, "POST", lobby.PathEvents, obj{"after": -1}, "Authorization", "Bearer "+credential).want(t, "a negative seq", 400)
	})
}

// announced reads n events of the lobby's stream, waiting for them for a while.
func announced(t *testing.T, log chat.LogID, n int) (events []lobby.Event) {
	t.Helper()
	client, err := stream.Open(redisURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	key := "parley:lobby:auth:" + string(log)
	deadline := time.Now().Add(5 * time.Second)
	for last := "0"; len(events) < n && time.Now().Before(deadline); {
		streams, err := client.XRead(t.Context(), &redis.XReadArgs{Streams: []string{key, last}, Block: 100 * time.Millisecond}).Result()
		if err != nil {
			continue
		}
		for _, m := range streams[0].Messages {
			var e lobby.Event
			if err := json.Unmarshal([]byte(fmt.Sprint(m.Values["e"])), &e); err != nil {
				t.Fatal(err)
			}
			events, last = append(events, e), m.ID
		}
	}
	if len(events) < n {
		t.Fatalf("%d of %d were announced", len(events), n)
	}
	return events
}

// Keys rotate under load: no valid token is ever refused, by this pod, another, or a service that
// follows the published keys.
func TestKeysRotateUnderLoad(t *testing.T) {
	storetest.EachDatabase(t, func(db storetest.Database) {
		t, url := db.T, db.URL
		c := config(t, url)
		unlimited(&c)
		at := &clock{now: time.Now()}
		pods := []*server{startAt(t, c, at), startAt(t, c, at)}
		set, err := token.NewKeySet([]string{pods[0].listen(pods[0].internal)}, http.DefaultClient, pods[0].logger(), at.Now)
		if err != nil {
			t.Fatal(err)
		}
		running(t, set)
		verifier, err := token.NewVerifier("parley", set, nil, at.Now)
		if err != nil {
			t.Fatal(err)
		}
		in := pods[0].signup("Ada")
		ids := map[string]bool{}
		var tokens []answer
		for round := range 3 {
			for i := range 20 {
				in = pods[i%2].refresh(in.Body.RefreshToken).want(t, "refresh", 200)
				tokens = append(tokens, in)
				header, _, _ := strings.Cut(in.Body.AccessToken, ".")
				ids[header] = true
				for _, a := range []answer{in, tokens[(i*7)%len(tokens)]} {
					if _, err := verifier.Verify(t.Context(), a.Body.AccessToken); err != nil {
						t.Fatal(round, i, err)
					}
					pods[(i+1)%2].me(a).want(t, "the other pod", 200)
				}
			}
			at.advance(2 * time.Minute) // the next key has settled
			if _, err := RotateKeys(t.Context(), c.Store, c.KeyRotation, pods[0].logger()); err != nil {
				t.Fatal(err)
			}
			if err := pods[round%2].ring.Load(t.Context()); err != nil { // as every five seconds
				t.Fatal(err)
			}
		}
		if len(ids) < 3 {
			t.Errorf("%d keys signed", len(ids))
		}
	})
}

func TestTheKeysAreHealthy(t *testing.T) {
	s := lite(t)
	a := s.call("GET", "/.well-known/jwks.json", nil)
	keys, err := token.DecodeKeys([]byte(a.Raw))
	if a.Status != 200 || err != nil || len(keys) != 2 || strings.Contains(a.Raw, `"d"`) {
		t.Error(a.Status, a.Raw, err)
	}
}

// running runs a component beside the test.
func running(t *testing.T, component interface {
	Run(ctx context.Context, ready func()) error
},
) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); _ = component.Run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() { cancel(); <-done })
	<-ready
}
