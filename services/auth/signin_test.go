package auth

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/services/auth/internal/account"
)

func TestSigningIn(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		up := s.signup("Ada")
		in := s.login(" aDA ", good).want(t, "login", 200)
		for what, a := range map[string]answer{"signup": up, "login": in} {
			want := chat.User{ID: up.Body.User.ID, Name: "Ada", Kind: chat.KindUser}
			if a.Body.User.User != want || want.ID == "" || a.Body.ExpiresIn != 600 || a.Body.RefreshToken == "" {
				t.Errorf("%s: %s", what, a.Raw)
			}
			if me := s.me(a).want(t, "me", 200); me.Body.User.User != want {
				t.Errorf("%s: me is %s", what, me.Raw)
			}
		}
		if up.Body.AccessToken == in.Body.AccessToken || strings.Split(up.Body.RefreshToken, ".")[0] == strings.Split(in.Body.RefreshToken, ".")[0] {
			t.Error("a login goes on with an old session")
		}
		s.call("POST", "/api/auth/signup", obj{"username": "ADA", "password": good}).want(t, "a taken name", 409)
		guest := s.call("POST", "/api/auth/guest", obj{"name": " Bob "}).want(t, "guest", 200)
		twin := s.call("POST", "/api/auth/guest", obj{"name": "Bob"}).want(t, "guest", 200)
		if u := guest.Body.User; u.Kind != chat.KindGuest || u.Name != "Bob" || u.Staff || u.ID == twin.Body.User.ID {
			t.Error(guest.Raw)
		}
		s.me(guest).want(t, "the guest's me", 200)
		s.call("POST", "/api/auth/guest", obj{"name": " ａDA"}).want(t, "a guest posing as an account", 409)
		s.call("GET", "/api/auth/me", nil).want(t, "nobody's me", 401)
	})
}

func TestCookies(t *testing.T) {
	for secure, names := range map[bool][2]string{
		false: {"parley_session", "parley_refresh"},
		true:  {"__Host-parley_session", "__Secure-parley_refresh"},
	} {
		s := lite(t, func(c *Config) { c.Browsers.Secure = secure })
		in := s.signup("Ada")
		access, refresh := cookieOf(in, names[0]), cookieOf(in, names[1])
		if access == nil || refresh == nil {
			t.Fatal(in.Header)
		}
		for _, c := range []*http.Cookie{access, refresh} {
			if !c.HttpOnly || c.Secure != secure || c.SameSite != http.SameSiteLaxMode || c.Domain != "" {
				t.Error(c)
			}
		}
		if access.Path != "/" || access.MaxAge != 600 || access.Value != in.Body.AccessToken {
			t.Error(access)
		}
		if refresh.Path != "/api/auth" || refresh.MaxAge != 30*24*3600 || refresh.Value != in.Body.RefreshToken {
			t.Error(refresh)
		}
		s.call("GET", "/api/auth/me", nil, "Cookie", access.Name+"="+access.Value).want(t, "me by cookie", 200)

		// By cookie, what changes something must come from our own page.
		token := refresh.Name + "=" + refresh.Value
		s.call("POST", "/api/auth/refresh", nil, "Cookie", token).want(t, "no origin", 403)
		s.call("POST", "/api/auth/refresh", nil, "Cookie", token, "Origin", "https://evil.example").want(t, "foreign origin", 403)
		s.call("POST", "/api/auth/refresh", nil, "Cookie", token, "Sec-Fetch-Site", "cross-site").want(t, "cross-site", 403)
		s.call("POST", "/api/auth/logout", nil, "Cookie", access.Name+"="+access.Value, "Origin", "https://evil.example").want(t, "foreign logout", 403)
		s.call("POST", "/api/auth/logout", nil, "Cookie", token, "Origin", "https://evil.example").want(t, "foreign logout", 403)
		next := s.call("POST", "/api/auth/refresh", nil, "Cookie", token, "Origin", "https://example.com").want(t, "own origin", 200)
		if c := cookieOf(next, names[1]); c == nil || c.Value != next.Body.RefreshToken || c.Value == refresh.Value {
			t.Error(next.Header)
		}
		out := s.call("POST", "/api/auth/logout", nil, "Cookie", names[0]+"="+next.Body.AccessToken, "Sec-Fetch-Site", "same-origin").want(t, "logout", 204)
		for _, name := range names {
			if c := cookieOf(out, name); c == nil || c.Value != "" || !c.Expires.Equal(time.Unix(1, 0)) {
				t.Error("logout leaves", c)
			}
		}
		gone := s.call("POST", "/api/auth/refresh", nil, "Cookie", names[1]+"="+next.Body.RefreshToken, "Origin", "https://example.com").want(t, "after logout", 401)
		if c := cookieOf(gone, names[1]); c == nil || !c.Expires.Equal(time.Unix(1, 0)) {
			t.Error("a dead cookie stays:", gone.Header)
		}
	}
}

func TestBadInput(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		s.signup("Ada")
		base := s.listen(s.public)
		for _, path := range []string{"signup", "login", "guest", "refresh", "logout"} {
			for what, body := range map[string]string{
				"broken":    `{"username":`,
				"an array":  `[]`,
				"a string":  `"x"`,
				"types":     `{"username":7,"password":true,"name":{},"refresh_token":[]}`,
				"UTF-8":     "{\"username\":\"\xff\",\"password\":\"\xff\xff\",\"name\":\"\xff\",\"refresh_token\":\"\xff\"}",
				"deep":      strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500),
				"two of it": `{} {}`,
			} {
				s.call("POST", "/api/auth/"+path, body).want(t, path+": "+what, 400)
			}
			huge, err := http.Post(base+"/api/auth/"+path, "application/json", strings.NewReader(`{"username":"`+strings.Repeat("x", bodyLimit)+`"}`))
			if err != nil {
				t.Fatal(err)
			}
			content, _ := io.ReadAll(huge.Body)
			_ = huge.Body.Close()
			if huge.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(content), `"too_large"`) {
				t.Errorf("%s: huge: %d %q", path, huge.StatusCode, content)
			}
			s.call("POST", "/api/auth/"+path, "username=a&password=b", "Content-Type", "application/x-www-form-urlencoded").want(t, path+": a form", 415)
			s.call("GET", "/api/auth/"+path, nil).want(t, path+": GET", 405)
		}
		for _, c := range []struct {
			path, body string
			status     int
		}{
			{"signup", ``, 400},
			{"signup", `{"username":"Bob"}`, 400},
			{"signup", `{"username":"","password":"a good enough secret"}`, 400},
			{"signup", `{"username":"B\u0000b","password":"a good enough secret"}`, 400},
			{"signup", `{"username":"Bob","password":"password"}`, 400},
			{"signup", `{"username":"Bob","password":"short"}`, 400},
			{"signup", `{"username":"bobbobbob","password":"BobBobBob"}`, 400},
			{"signup", `{"username":"Bob","password":"` + strings.Repeat("x", 2000) + `"}`, 400},
			{"signup", `{"username":"Bob \u0000","password":"a\u0000b\u0000c\u0000d\u0000"}`, 400},
			{"login", ``, 401},
			{"login", `{"username":"Ada","password":""}`, 401},
			{"login", `{"username":"A\u0000da","password":"a good enough secret"}`, 401},
			{"login", `{"username":"Ada","password":"` + strings.Repeat("x", 2000) + `"}`, 400},
			{"login", `{"username":"` + strings.Repeat("x", 2000) + `","password":"x"}`, 401},
			{"guest", ``, 400},
			{"guest", `{"name":"\u202eevil"}`, 400},
			{"guest", `{"name":"` + strings.Repeat("x", 41) + `"}`, 400},
			{"refresh", ``, 401},
			{"refresh", `{"refresh_token":"x"}`, 401},
			{"refresh", `{"refresh_token":"a.b.c"}`, 401},
			{"refresh", `{"refresh_token":"\u0000.\u0000.\u0000"}`, 401},
			{"refresh", `{"refresh_token":"` + strings.Repeat("A", 2000) + `"}`, 401},
			{"logout", ``, 401},
			{"logout", `{"refresh_token":"A.B.C"}`, 401},
		} {
			s.call("POST", "/api/auth/"+c.path, c.body).want(t, c.path+" "+c.body, c.status)
		}
	})
}

func TestWhatIsSwitchedOffIsForbidden(t *testing.T) {
	s := lite(t, func(c *Config) { c.Signup, c.Guests = false, false })
	s.call("POST", "/api/auth/signup", obj{"username": "Ada", "password": good}).want(t, "signup", 403)
	s.call("POST", "/api/auth/guest", obj{"name": "Ada"}).want(t, "guest", 403)
}

// Unknown name, wrong password and disabled account are one answer, after the same work: one hash of
// the configured cost, beside which the rest takes no time.
func TestRefusalsAreAlike(t *testing.T) {
	s := lite(t, func(c *Config) {
		c.BadLogins = 0
	})
	boss := s.admin()
	s.signup("Ada")
	gone := s.signup("Bob")
	s.call("PATCH", "/api/auth/users/"+string(gone.Body.User.ID), obj{"disabled": true}, bearer(boss)...).want(t, "disable", 200)
	try := func(name, password string) answer { return s.login(name, password) }
	a := try("Ada", "wrong")
	for _, other := range [][2]string{{"nobody", "wrong"}, {"Bob", "wrong"}, {"Bob", good}} {
		if b := try(other[0], other[1]); b.Status != 401 || a.Status != b.Status || a.Raw != b.Raw {
			t.Errorf("%v: %d %s, not %d %s", other, b.Status, b.Raw, a.Status, a.Raw)
		}
	}
	hashed := func() uint64 {
		families, err := s.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "parley_auth_hash_seconds" {
				return f.GetMetric()[0].GetHistogram().GetSampleCount()
			}
		}
		return 0
	}
	for _, c := range [][2]string{{"Ada", "wrong"}, {"nobody", "wrong"}, {"Bob", good}, {"", "wrong"}} {
		before := hashed()
		try(c[0], c[1])
		if n := hashed() - before; n != 1 {
			t.Errorf("the refusal of %q took %d hashes", c, n)
		}
	}
}

func TestGuessingIsSlowedDownAndOwnersGetIn(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		s.signup("Ada")
		for range 5 {
			s.login("Ada", "a wrong guess", from("6.6.6.6")...).want(t, "the first guesses", 401)
		}
		for range 10 {
			if a := s.login("Ada", "a wrong guess", from("6.6.6.6")...); a.Status != 429 || a.Body.Error.RetryAfterMS <= 0 || a.Header.Get("Retry-After") == "" {
				t.Error(a.Status, a.Raw)
			}
		}
		s.login("Ada", good, from("6.6.6.77")...).want(t, "the attacker's network, right password", 429)
		s.login("Ada", good, from("9.9.9.9")...).want(t, "the owner elsewhere", 200)
		for range 6 {
			s.login("no such account", "a wrong guess", from("6.6.6.6")...)
		}
		s.login("no such account", "a wrong guess", from("6.6.6.6")...).want(t, "an unknown name is slowed down alike", 429)
		s.clock.advance(2 * time.Second)
		s.login("Ada", good, from("6.6.6.77")...).want(t, "the owner beside the attacker, after waiting", 200)
	})
}

func TestAddressesAreLimited(t *testing.T) {
	s := lite(t, func(c *Config) {
		one := limit.Rate{PerSecond: 0.001, Burst: 2}
		c.Limits.Signup, c.Limits.Login, c.Limits.Guest, c.Limits.Refresh = one, one, one, one
	})
	for path, body := range map[string]obj{
		"signup":  {"username": "x", "password": "y"},
		"login":   {"username": "x", "password": "y"},
		"guest":   {"name": ""},
		"refresh": {"refresh_token": "x"},
		"logout":  {"refresh_token": "x"},
	} {
		for i, limited := range []bool{false, false, true} {
			if a := s.call("POST", "/api/auth/"+path, body, from("6.6.6.6")...); (a.Status == 429) != limited {
				t.Errorf("%s %d: %d", path, i, a.Status)
			}
		}
		if a := s.call("POST", "/api/auth/"+path, body, from("7.7.7.7")...); a.Status == 429 {
			t.Errorf("%s: another address is limited too", path)
		}
	}
}

// What a user reads and what staff change is limited by user.
func TestUsersAreLimited(t *testing.T) {
	s := lite(t, func(c *Config) {
		c.Limits.Reads, c.Limits.UserChanges = limit.Rate{PerSecond: 0.001, Burst: 2}, limit.Rate{PerSecond: 0.001, Burst: 3}
	})
	boss, ada := s.admin(), s.signup("Ada")
	user := "/api/auth/users/" + string(ada.Body.User.ID)
	call := func(method, path string, body obj, want int) {
		t.Helper()
		if a := s.call(method, path, body, bearer(boss)...).want(t, method+" "+path, want); want == 429 && a.Body.Error.RetryAfterMS <= 0 {
			t.Error(a.Raw)
		}
	}
	call("GET", "/api/auth/me", nil, 200)
	call("GET", "/api/auth/users?q=a", nil, 200)
	call("GET", "/api/auth/me", nil, 429)
	call("GET", "/api/auth/users", nil, 429)
	call("POST", "/api/auth/users", obj{"username": "Bob", "password": good}, 201)
	call("PATCH", user, obj{"disabled": true}, 200)
	call("PATCH", user, obj{"disabled": false}, 200)
	call("PATCH", user, obj{"disabled": true}, 429)
	call("POST", "/api/auth/users", obj{"username": "Cem", "password": good}, 429)
	call("DELETE", user, nil, 429)
	s.me(s.login("Ada", good).want(t, "login", 200)).want(t, "another user's me", 200)
}

// Many at once are answered one way or the other, and nobody is signed in by mistake.
func TestManyLoginsAtOnce(t *testing.T) {
	s := lite(t, func(c *Config) { c.Store.Hashing.Concurrent, c.Store.Hashing.Wait = 2, 50*time.Millisecond })
	for i := range 20 {
		s.signup(id(i))
	}
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			password := good
			if i%2 == 1 {
				password = "a wrong guess"
			}
			a := s.login(id(i%20), password)
			if ok := a.Status == 200; ok != (a.Body.AccessToken != "") || ok && i%2 == 1 {
				t.Error(a.Status, a.Raw)
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[a.Status]++
		})
	}
	wg.Wait()
	t.Log(statuses)
	for status := range statuses {
		if !slices.Contains([]int{200, 401, 429, 503}, status) {
			t.Error(statuses)
		}
	}
	if statuses[200] == 0 || statuses[401] == 0 {
		t.Error(statuses)
	}
}

func TestHashesAreRenewedAtLogin(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		s.signup("Ada")
		before, err := s.store.AccountByName(t.Context(), chat.DefaultTenant, account.FormsOf("Ada"))
		if err != nil {
			t.Fatal(err)
		}
		s.login("Ada", good).want(t, "login", 200)
		same, err := s.store.AccountByName(t.Context(), chat.DefaultTenant, account.FormsOf("Ada"))
		if err != nil || same.Hash != before.Hash {
			t.Fatal("a current hash was renewed", err)
		}
		s.stop()
		c := s.config
		c.Store.Hashing.Iterations = 2
		s = startAt(t, c, s.clock)
		s.login("Ada", "a wrong guess").want(t, "wrong password", 401)
		if a, _ := s.store.AccountByName(t.Context(), chat.DefaultTenant, account.FormsOf("Ada")); a.Hash != before.Hash {
			t.Error("a wrong password renewed the hash")
		}
		s.login("Ada", good).want(t, "login", 200)
		after, err := s.store.AccountByName(t.Context(), chat.DefaultTenant, account.FormsOf("Ada"))
		if err != nil || !strings.Contains(after.Hash, ",t=2,") {
			t.Error(after.Hash, err)
		}
		s.login("Ada", good).want(t, "login with the new hash", 200)
	})
}
