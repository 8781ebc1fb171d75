package auth

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
)

func TestRefreshRotates(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		in := s.signup("Ada")
		s.clock.advance(5 * time.Minute)
		second := s.refresh(in.Body.RefreshToken).want(t, "the first use", 200)
		if second.Body.RefreshToken == in.Body.RefreshToken || second.Body.AccessToken == in.Body.AccessToken || second.Body.User != in.Body.User {
			t.Error(second.Raw)
		}
		s.me(in).want(t, "the first access token goes on", 200)
		s.me(second).want(t, "the second access token", 200)

		// A lost answer, or a second tab: within 30 s the old token answers again, and both go on.
		s.clock.advance(30 * time.Second)
		tab := s.refresh(in.Body.RefreshToken).want(t, "the latest old one within 30 s", 200)
		third := s.refresh(second.Body.RefreshToken).want(t, "one of the twins", 200)
		fourth := s.refresh(tab.Body.RefreshToken).want(t, "the other", 200)
		s.clock.advance(time.Hour)
		s.refresh(third.Body.RefreshToken).want(t, "and on", 200)
		s.refresh(fourth.Body.RefreshToken).want(t, "and on", 200)
		if page := s.events(0); page.Head != 0 {
			t.Errorf("nothing was revoked, yet the lobby has %+v", page)
		}
	})
}

// An old token that comes again has been stolen: the whole family ends.
func TestReuseEndsTheFamily(t *testing.T) {
	for what, steal := range map[string]func(s *server, in answer) (latest answer){
		"the latest old one after 30 s": func(s *server, in answer) answer {
			latest := s.refresh(in.Body.RefreshToken).want(s.t, "the owner's use", 200)
			s.clock.advance(31 * time.Second)
			return latest
		},
		"an older one within 30 s": func(s *server, in answer) answer {
			second := s.refresh(in.Body.RefreshToken).want(s.t, "the owner's use", 200)
			return s.refresh(second.Body.RefreshToken).want(s.t, "the owner's next use", 200)
		},
		"a much older one": func(s *server, in answer) answer {
			for a := in; ; {
				a = s.refresh(a.Body.RefreshToken).want(s.t, "the owner's use", 200)
				s.clock.advance(24 * time.Hour)
				if s.clock.Now().Sub(start0) > 20*24*time.Hour {
					return a
				}
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			each(t, func(s *server) {
				t := s.t
				in := s.signup("Ada")
				other := s.login("Ada", good).want(t, "another session", 200)
				latest := steal(s, in)
				s.refresh(in.Body.RefreshToken).want(t, "the reuse", 401)
				s.refresh(latest.Body.RefreshToken).want(t, "the latest token after the reuse", 401)
				s.me(latest).want(t, "the latest access token after the reuse", 401)
				s.refresh(other.Body.RefreshToken).want(t, "another session's", 200)
				page := s.events(0)
				if len(page.Events) != 1 || page.Events[0].Kind != lobby.SessionEnded || page.Events[0].User != in.Body.User.ID {
					t.Errorf("the lobby has %+v", page)
				}
			})
		})
	}
}

// A token used twice within 30 s has two successors. One of them may go on.
func TestOneSuccessorGoesOn(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		fork := func() (one, other answer) {
			in := s.login("Ada", good).want(t, "login", 200)
			one = s.refresh(in.Body.RefreshToken).want(t, "the first use", 200)
			s.clock.advance(20 * time.Second)
			return one, s.refresh(in.Body.RefreshToken).want(t, "the second use", 200)
		}
		ended := func(what string, last ...answer) {
			t.Helper()
			for _, a := range last {
				s.refresh(a.Body.RefreshToken).want(t, what, 401)
			}
		}
		s.signup("Ada")

		one, other := fork() // the owner goes on, then the thief
		s.clock.advance(9 * time.Minute)
		owner := s.refresh(one.Body.RefreshToken).want(t, "the owner goes on", 200)
		s.clock.advance(31 * time.Second)
		s.refresh(other.Body.RefreshToken).want(t, "the thief comes later", 401)
		ended("after the thief", owner, other)

		one, other = fork() // the thief, then the owner, who has gone on long ago
		s.clock.advance(9 * time.Minute)
		thief := s.refresh(one.Body.RefreshToken).want(t, "the thief goes on", 200)
		thief = s.refresh(thief.Body.RefreshToken).want(t, "and on", 200)
		s.refresh(other.Body.RefreshToken).want(t, "the owner comes later", 401)
		ended("after the owner", thief)

		one, other = fork() // the thief is always close behind the owner, once
		s.clock.advance(9 * time.Minute)
		owner = s.refresh(one.Body.RefreshToken).want(t, "the owner goes on", 200)
		thief = s.refresh(other.Body.RefreshToken).want(t, "the thief is close behind", 200)
		s.clock.advance(9 * time.Minute)
		thief = s.refresh(thief.Body.RefreshToken).want(t, "the thief goes first", 200)
		s.clock.advance(time.Minute)
		s.refresh(owner.Body.RefreshToken).want(t, "the owner comes later", 401)
		ended("after the owner", thief)
	})
}

// Two tabs share their cookies, wake up together and now and then race: nobody is signed out.
func TestTabsThatShareACookieGoOn(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		jar := s.signup("Ada").Body.RefreshToken
		renew := func(with string) string {
			t.Helper()
			a := s.call("POST", "/api/auth/refresh", nil, "Cookie", "parley_refresh="+with, "Sec-Fetch-Site", "same-origin").want(t, "a tab", 200)
			return cookieOf(a, "parley_refresh").Value
		}
		for round := range 20 {
			s.clock.advance(9 * time.Minute)
			sent := jar // both tabs send what the jar has
			one := renew(sent)
			s.clock.advance(time.Duration(round%3) * 10 * time.Second)
			other := renew(sent)
			switch round % 4 { // which answer the jar keeps
			case 0:
				jar = one
			case 1:
				jar = other
			case 2: // one tab goes on at once, and what it got is kept
				jar = renew(one)
			case 3: // one tab goes on at once, the other's late answer overwrites what it got, and is used
				renew(other)
				s.clock.advance(20 * time.Second)
				jar = renew(one)
			}
		}
		if page := s.events(0); page.Head != 0 {
			t.Errorf("nothing was stolen, yet the lobby has %+v", page)
		}
	})
}

var start0 = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// Many tabs wake up at the same moment with the same token: each gets one that works.
func TestConcurrentRefreshes(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		in := s.signup("Ada")
		answers := make([]answer, 40)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() { answers[i] = s.refresh(in.Body.RefreshToken) })
		}
		wg.Wait()
		seen := map[string]bool{}
		for _, a := range answers {
			a.want(t, "one of many", 200)
			if seen[a.Body.RefreshToken] {
				t.Error("two got the same token")
			}
			seen[a.Body.RefreshToken] = true
		}
		s.clock.advance(9 * time.Minute)
		for _, a := range answers {
			s.me(a).want(t, "its access token", 200)
			s.refresh(a.Body.RefreshToken).want(t, "its refresh token", 200)
		}
		s.refresh(in.Body.RefreshToken).want(t, "the old one", 401)
		s.refresh(answers[0].Body.RefreshToken).want(t, "after that, any", 401)
	})
}

// Knowing a session's id, which is no secret, must not be enough to end it.
func TestMadeUpTokensEndNothing(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		in := s.signup("Ada")
		parts := strings.Split(in.Body.RefreshToken, ".")
		for _, raw := range []string{
			parts[0] + ".AAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA",
			parts[0] + "." + parts[1] + ".AAAAAAAAAAAAAAAAAAAAAA",
			parts[0] + ".AAAAAAAAAAAAAAAAAAAAAAAAAA." + parts[2],
			parts[0] + "..", parts[0], parts[0] + "." + parts[1], in.Body.RefreshToken + ".", in.Body.RefreshToken + "A",
			strings.ToLower(in.Body.RefreshToken),
		} {
			s.refresh(raw).want(t, raw, 401)
			s.call("POST", "/api/auth/logout", obj{"refresh_token": raw}).want(t, "logout by "+raw, 401)
		}
		s.me(in).want(t, "the session", 200)
		s.refresh(in.Body.RefreshToken).want(t, "the real one", 200)
	})
}

func TestSessionsEndByAge(t *testing.T) {
	const day = 24 * time.Hour
	each(t, func(s *server) {
		t := s.t
		in := s.signup("Ada")
		idle := s.login("Ada", good).want(t, "login", 200)
		s.clock.advance(10 * time.Minute)
		s.me(in).want(t, "an expired access token", 401)
		// Used every 29 days, a session lives on; unused for 30, it is over; after 90 any is.
		latest := in
		for range 3 {
			s.clock.advance(29 * day)
			latest = s.refresh(latest.Body.RefreshToken).want(t, "within the idle lifetime", 200)
		}
		s.refresh(idle.Body.RefreshToken).want(t, "unused for too long", 401)
		s.clock.advance(3*day - 15*time.Minute)
		latest = s.refresh(latest.Body.RefreshToken).want(t, "five minutes before the end", 200)
		if latest.Body.ExpiresIn > 300 {
			t.Errorf("the access token lives %d s, longer than its session", latest.Body.ExpiresIn)
		}
		if c := cookieOf(latest, "parley_refresh"); c.MaxAge > 300 {
			t.Errorf("the cookie lives %d s", c.MaxAge)
		}
		s.clock.advance(5 * time.Minute)
		s.me(latest).want(t, "the access token at the end", 401)
		s.refresh(latest.Body.RefreshToken).want(t, "the refresh token at the end", 401)
		s.login("Ada", good).want(t, "login anew", 200)
		sweep := &sweeper{sessions: s.sessions, store: s.store, now: s.clock.Now, log: s.logger()}
		if err := sweep.sweep(t.Context()); err != nil {
			t.Error(err)
		}
		if !strings.Contains(s.log.String(), "sessions swept") {
			t.Error("nothing was swept")
		}
	})
}

func TestLogoutEndsTheSession(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		s.signup("Ada")
		in, other := s.login("Ada", good), s.login("Ada", good)
		s.call("POST", "/api/auth/logout", nil, bearer(in)...).want(t, "logout", 204)
		s.me(in).want(t, "the access token", 401)
		s.refresh(in.Body.RefreshToken).want(t, "the refresh token", 401)
		s.call("POST", "/api/auth/logout", nil, bearer(in)...).want(t, "logout again", 401)
		s.me(other).want(t, "the other session", 200)
		page := s.events(0)
		if len(page.Events) != 1 || page.Events[0].Kind != lobby.SessionEnded || page.Events[0].Session == "" {
			t.Errorf("the lobby has %+v", page)
		}
		// With an expired access token the refresh token will do.
		s.clock.advance(time.Hour)
		s.call("POST", "/api/auth/logout", obj{"refresh_token": other.Body.RefreshToken}, bearer(other)...).want(t, "late logout", 204)
		s.refresh(other.Body.RefreshToken).want(t, "the refresh token", 401)
		if page := s.events(1); len(page.Events) != 1 || page.Events[0].Seq != 2 {
			t.Errorf("the lobby has %+v", page)
		}
		guest := s.call("POST", "/api/auth/guest", obj{"name": "Bob"}).want(t, "guest", 200)
		s.call("POST", "/api/auth/logout", nil, bearer(guest)...).want(t, "a guest's logout", 204)
		s.me(guest).want(t, "the guest", 401)
	})
}

func TestOwnPasswordChange(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		in := s.signup("Ada")
		thief := s.login("Ada", good).want(t, "a session that leaked", 200)
		const fresh = "another good secret"
		change := func(current, fresh string, as answer) answer {
			return s.call("POST", "/api/auth/password", obj{"current": current, "new": fresh}, bearer(as)...)
		}
		change("a wrong guess", fresh, in).want(t, "wrong current password", 403)
		change(good, "password", in).want(t, "a common new password", 400)
		next := change(good, fresh, in).want(t, "change", 200)
		for what, a := range map[string]answer{"own old": in, "thief's": thief} {
			s.me(a).want(t, what+" access token", 401)
			s.refresh(a.Body.RefreshToken).want(t, what+" refresh token", 401)
		}
		s.me(next).want(t, "the new session", 200)
		s.login("Ada", good).want(t, "the old password", 401)
		s.login("Ada", fresh).want(t, "the new password", 200)
		if page := s.events(0); len(page.Events) != 1 || page.Events[0].Kind != lobby.GenerationRaised || page.Events[0].Generation != 2 {
			t.Errorf("the lobby has %+v", page)
		}
		guest := s.call("POST", "/api/auth/guest", obj{"name": "Bob"}).want(t, "guest", 200)
		change("x", fresh, guest).want(t, "a guest", 403)
		s.call("POST", "/api/auth/password", obj{"current": fresh, "new": good}).want(t, "nobody", 401)
		if chat.UserKind("user") != next.Body.User.Kind {
			t.Error(next.Raw)
		}
	})
}
