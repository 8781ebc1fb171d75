package auth

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/services/auth/internal/storetest"
)

func TestTheConfiguredAdministratorIsMadeOnce(t *testing.T) {
	storetest.EachDatabase(t, func(db storetest.Database) {
		t, url := db.T, db.URL
		boss := func(password string) func(*Config) {
			return func(c *Config) { c.Admin = Credentials{"boss", password} }
		}
		s := start(t, url, boss(good))
		if a := s.login("boss", good).want(t, "login", 200); !a.Body.User.Staff {
			t.Error(a.Raw)
		}
		if c, err := s.EnsureAdmin(t.Context()); c != nil || err != nil {
			t.Error("another one was made:", c, err)
		}
		s.stop()
		s = start(t, url, boss("another good secret"))
		s.login("boss", "another good secret").want(t, "a later start changes nothing", 401)
		s.login("boss", good).want(t, "login", 200)
	})
}

func TestAConfiguredAdministratorThatCannotBe(t *testing.T) {
	url := "sqlite:" + storetest.SQLite(t)
	s := start(t, url)
	s.signup("boss")
	s.stop()
	for want, c := range map[string]Credentials{
		"names an account that is not staff": {"boss", good},
		"among the most common":              {"chief", "password"},
		"not contain control characters":     {"a\nb", good},
	} {
		config := config(t, url)
		config.Admin = c
		if _, err := New(t.Context(), config, Deps{Log: s.logger(), Registry: s.fresh(), Now: s.clock.Now}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Nothing guessable opens a fresh install; a server that somebody tries out makes one administrator.
func TestTheFirstAdministrator(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		for _, name := range []string{"admin", "root", "parley", "administrator", "staff", ""} {
			for _, password := range []string{"", "admin", "password", "parley", "changeme", "root", name} {
				if a := s.login(name, password, from("7.7.7.7")...); a.Status == 200 {
					t.Errorf("%q with %q is let in", name, password)
				}
			}
		}
		s.signup("admin") // somebody was faster
		var made atomic.Int32
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				c, err := s.EnsureAdmin(t.Context())
				if err != nil {
					t.Error(err)
				}
				if c == nil {
					return
				}
				made.Add(1)
				if a := s.login(c.Username, c.Password).want(t, "login", 200); !a.Body.User.Staff || len(c.Password) < 26 {
					t.Error(a.Raw)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 {
			t.Errorf("%d administrators were made", made.Load())
		}
	})
}

func TestCreateSuperuserBesideTheService(t *testing.T) {
	storetest.EachDatabase(t, func(db storetest.Database) {
		t, url := db.T, db.URL
		s := start(t, url)
		if err := CreateSuperuser(t.Context(), s.config.Store, Credentials{"boss", good}); err != nil {
			t.Fatal(err)
		}
		if a := s.login("boss", good).want(t, "login", 200); !a.Body.User.Staff {
			t.Error(a.Raw)
		}
		for c, want := range map[Credentials]chat.Code{
			{"BOSS", good}:      chat.CodeConflict,
			{"two", "password"}: chat.CodeBadRequest,
			{"", good}:          chat.CodeBadRequest,
		} {
			if err := CreateSuperuser(t.Context(), s.config.Store, c); chat.CodeOf(err) != want {
				t.Errorf("%+v: %v", c, err)
			}
		}
	})
}

// Whatever people do and get wrong, no secret of theirs is in the log, not even at debug level.
func TestNoSecretsInTheLog(t *testing.T) {
	s := lite(t, func(c *Config) { c.Admin = Credentials{"boss", "canary-admin-secret"} })
	boss := s.login("boss", "canary-admin-secret").want(t, "login", 200)
	in := s.call("POST", "/api/auth/signup", obj{"username": "Ada", "password": "canary-first-secret"}).want(t, "signup", 201)
	s.login("Ada", "canary-wrong-secret")
	s.call("POST", "/api/auth/login", `{"username":"Ada","password":"canary-broken`)
	s.call("PATCH", "/api/auth/users/"+string(in.Body.User.ID), obj{"password": "canary-reset-secret"}, bearer(boss)...).want(t, "reset", 200)
	in = s.login("Ada", "canary-reset-secret").want(t, "login", 200)
	in = s.call("POST", "/api/auth/password", obj{"current": "canary-reset-secret", "new": "canary-last-secret"}, bearer(in)...).want(t, "change", 200)
	next := s.refresh(in.Body.RefreshToken).want(t, "refresh", 200)
	s.clock.advance(31e9)
	s.refresh(in.Body.RefreshToken).want(t, "reuse", 401)
	s.call("GET", "/api/auth/me?access_token="+next.Body.AccessToken, nil)
	log := s.log.String()
	if !strings.Contains(log, "action=password_reset") || !strings.Contains(log, "/api/auth/login") {
		t.Fatal("the log is not looked at")
	}
	secrets := []string{"canary", credential}
	for _, a := range []answer{boss, in, next} {
		secrets = append(secrets, a.Body.AccessToken, a.Body.RefreshToken, strings.Split(a.Body.AccessToken, ".")[2], strings.Split(a.Body.RefreshToken, ".")[1])
	}
	for _, secret := range secrets {
		if strings.Contains(log, secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

func TestConfigurationMistakesAreToldAtOnce(t *testing.T) {
	values := map[string]string{
		"PARLEY_AUTH_DATABASE": "mysql://x", "PARLEY_SERVICE_CREDENTIAL": "short", "PARLEY_TOKEN_LIFETIME": "2h",
		"PARLEY_SESSION_IDLE": "1s", "PARLEY_ADMIN_USER": "boss", "PARLEY_HASH_MEMORY": "64", "PARLEY_SIGNUP": "maybe", "PARLEY_LIMIT_LOGIN": "-1",
	}
	r := env.New(func(name string) (string, bool) { v, ok := values[name]; return v, ok })
	ConfigFrom(r)
	err := r.Err()
	if err == nil {
		t.Fatal("no mistake was found")
	}
	for _, name := range []string{
		"PARLEY_AUTH_DATABASE", "PARLEY_SERVICE_CREDENTIAL", "PARLEY_TOKEN_LIFETIME: 2h", "PARLEY_SESSION_IDLE",
		"PARLEY_ADMIN_PASSWORD_FILE", "PARLEY_HASH_MEMORY", "PARLEY_SIGNUP", "PARLEY_LIMIT_LOGIN",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not in %v", name, err)
		}
	}
}
