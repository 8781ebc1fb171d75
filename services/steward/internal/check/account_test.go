package check

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/client"
)

// accounts is an auth service with accounts alone.
type accounts struct {
	passwords map[string]string // by name
	open      bool              // whether anyone may sign up
	guests    bool
	calls     []string
}

func (a *accounts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct{ Username, Password string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	a.calls = append(a.calls, strings.TrimPrefix(r.URL.Path, "/api/auth/")+" "+in.Username)
	answer := func(status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	refuse := func(status int, code string) {
		answer(status, map[string]any{"error": map[string]string{"code": code, "message": code}})
	}
	password, there := a.passwords[in.Username]
	switch r.URL.Path {
	case "/api/auth/login":
		if password != in.Password || !there {
			refuse(http.StatusUnauthorized, "unauthenticated")
			return
		}
		answer(http.StatusOK, client.SignIn{AccessToken: in.Username})
	case "/api/auth/logout":
		answer(http.StatusNoContent, nil)
	case "/api/auth/guest":
		if !a.guests {
			refuse(http.StatusForbidden, "forbidden")
			return
		}
		answer(http.StatusCreated, client.SignIn{AccessToken: "guest"})
	default: // signing up, and making a user
		if r.URL.Path == "/api/auth/signup" && !a.open {
			refuse(http.StatusForbidden, "forbidden")
			return
		}
		if there {
			refuse(http.StatusConflict, "conflict")
			return
		}
		a.passwords[in.Username] = in.Password
		answer(http.StatusCreated, client.SignIn{AccessToken: in.Username})
	}
}

func TestMakesItsAccount(t *testing.T) {
	for name, c := range map[string]struct {
		there  map[string]string
		open   bool
		make   bool
		guests bool
		want   string // in the error
		calls  []string
	}{
		"it is there":          {map[string]string{"tester": "secret"}, false, true, false, "", []string{"login tester"}},
		"administrator":        {map[string]string{"admin": "first"}, false, true, false, "", []string{"login tester", "login admin", "users tester", "logout ", "login tester"}},
		"changed, but open":    {map[string]string{"admin": "changed"}, true, true, false, "", []string{"login tester", "login admin", "signup tester", "login tester"}},
		"changed, and closed":  {map[string]string{"admin": "changed"}, false, true, false, "auth createsuperuser tester", nil},
		"closed, but guests":   {map[string]string{"admin": "changed"}, false, true, true, "", []string{"login tester", "login admin", "signup tester", "guest "}},
		"it is somebody else":  {map[string]string{"admin": "first", "tester": "other"}, true, true, false, "but its password is not PARLEY_CHECK_PASSWORD", nil},
		"it is not to be made": {map[string]string{"admin": "first"}, true, false, false, "no account has this PARLEY_CHECK_USER", []string{"login tester"}},
	} {
		t.Run(name, func(t *testing.T) {
			auth := &accounts{passwords: c.there, open: c.open, guests: c.guests}
			server := httptest.NewServer(auth)
			defer server.Close()
			checker := &checker{auth: client.NewHTTP(server.URL, server.Client()), Options: Options{
				Out: io.Discard, Account: Account{"tester", "secret"}, MakeAccount: c.make, Administrator: Account{"admin", "first"},
			}}
			_, err := checker.signInStep(t.Context())
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if c.calls != nil && !slices.Equal(auth.calls, c.calls) {
				t.Errorf("called %q", auth.calls)
			}
		})
	}
}

func TestReadinessWithAWarningFails(t *testing.T) {
	for answer, fine := range map[string]bool{
		"ok\n": true,
		"ok\nwarning: Redis refuses the password: WRONGPASS\n": false,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
		defer server.Close()
		address := server.Listener.Addr().String()
		err := askReadiness(t.Context(), "parley-edge-pods:9090", address)
		if (err == nil) != fine || err != nil && !strings.Contains(err.Error(), "WRONGPASS") {
			t.Errorf("%q: %v", answer, err)
		}
	}
}
