package secrets_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-chat/parley/services/steward/internal/kubetest"
	"github.com/parley-chat/parley/services/steward/internal/secrets"
)

func parse(t *testing.T, args ...string) []secrets.Secret {
	t.Helper()
	wanted, err := secrets.Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	return wanted
}

// values decodes a Secret of the server.
func values(t *testing.T, server *kubetest.Server, name string) map[string]string {
	t.Helper()
	data, _ := server.Object("secrets", name)["data"].(map[string]any)
	decoded := map[string]string{}
	for key, value := range data {
		text, _ := value.(string)
		content, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		decoded[key] = string(content)
	}
	return decoded
}

// rendered is a Secret as an older chart leaves it: there, and without data.
func rendered() map[string]any { return map[string]any{"kind": "Secret", "type": "Opaque"} }

var postgres = []string{
	"parley-postgres/password={random}",
	"parley-postgres/url=postgres://parley:{password}@parley-postgres:5432/parley_auth",
}

func TestMakesWhatIsMissing(t *testing.T) {
	for name, prepare := range map[string]func(*kubetest.Server){
		"there is no Secret": func(*kubetest.Server) {},
		"it has no data":     func(s *kubetest.Server) { s.Put("secrets", "parley-postgres", rendered()) },
		"a value is empty": func(s *kubetest.Server) {
			s.Put("secrets", "parley-postgres", map[string]any{"data": map[string]any{"password": ""}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := kubetest.New(t)
			prepare(server)
			made, err := secrets.Ensure(t.Context(), server.Client(t), parse(t, postgres...)[0], map[string]string{"app": "parley"})
			if err != nil || !slices.Equal(made, []string{"password", "url"}) {
				t.Fatalf("made %v, %v", made, err)
			}
			got := values(t, server, "parley-postgres")
			if !regexp.MustCompile(`^[A-Z2-7]{26}$`).MatchString(got["password"]) {
				t.Errorf("the password is %q", got["password"])
			}
			if want := "postgres://parley:" + got["password"] + "@parley-postgres:5432/parley_auth"; got["url"] != want {
				t.Errorf("the URL is %q, want %q", got["url"], want)
			}
		})
	}
}

func TestEachRandomIsItsOwn(t *testing.T) {
	server := kubetest.New(t)
	if _, err := secrets.Ensure(t.Context(), server.Client(t), parse(t, "s/k={random}{random}")[0], nil); err != nil {
		t.Fatal(err)
	}
	k := values(t, server, "s")["k"]
	if len(k) != 52 || k[:26] == k[26:] {
		t.Errorf("made %q", k)
	}
}

// What is there was perhaps given by the operator, or is what a database was set up with.
func TestChangesNothingThatIsThere(t *testing.T) {
	server := kubetest.New(t)
	mine := base64.StdEncoding.EncodeToString([]byte("mine"))
	server.Put("secrets", "parley-postgres", map[string]any{"data": map[string]any{"password": mine, "other": mine}})
	made, err := secrets.Ensure(t.Context(), server.Client(t), parse(t, postgres...)[0], nil)
	if err != nil || !slices.Equal(made, []string{"url"}) {
		t.Fatalf("made %v, %v", made, err)
	}
	got := values(t, server, "parley-postgres")
	if got["password"] != "mine" || got["other"] != "mine" || !strings.Contains(got["url"], ":mine@") {
		t.Errorf("left %v", got)
	}
	before := len(server.Calls())
	if made, err = secrets.Ensure(t.Context(), server.Client(t), parse(t, postgres...)[0], nil); err != nil || made != nil {
		t.Fatalf("the second time made %v, %v", made, err)
	}
	if calls := server.Calls()[before:]; !slices.Equal(calls, []string{"GET secrets/parley-postgres"}) {
		t.Errorf("where nothing was missing it called %v", calls)
	}
}

func TestSeveralAtOnceAgree(t *testing.T) {
	for name, prepare := range map[string]func(*kubetest.Server){
		"no Secret":       func(*kubetest.Server) {},
		"an empty Secret": func(s *kubetest.Server) { s.Put("secrets", "parley-postgres", rendered()) },
	} {
		t.Run(name, func(t *testing.T) {
			server := kubetest.New(t)
			prepare(server)
			const writers = 8
			// All read before anybody writes.
			var reads atomic.Int32
			together := make(chan struct{})
			server.Refuse = func(r *http.Request) int {
				if r.Method == http.MethodGet {
					if reads.Add(1) == writers {
						close(together)
					}
				} else {
					<-together
				}
				return 0
			}
			wanted := parse(t, postgres...)[0]
			var group sync.WaitGroup
			var makers atomic.Int32
			for range writers {
				client := server.Client(t)
				group.Go(func() {
					made, err := secrets.Ensure(t.Context(), client, wanted, nil)
					if err != nil {
						t.Error(err)
					}
					if len(made) > 0 {
						makers.Add(1)
					}
				})
			}
			group.Wait()
			if makers.Load() != 1 {
				t.Errorf("%d made the Secret", makers.Load())
			}
			if got := values(t, server, "parley-postgres"); !strings.Contains(got["url"], ":"+got["password"]+"@") {
				t.Errorf("password and URL are not of one: %v", got)
			}
		})
	}
}

func TestWaitsForAnAPIServerThatIsAway(t *testing.T) {
	server := kubetest.New(t)
	var calls atomic.Int32
	server.Refuse = func(*http.Request) int {
		if calls.Add(1) < 3 {
			return http.StatusServiceUnavailable
		}
		return 0
	}
	if _, err := secrets.Ensure(t.Context(), server.Client(t), parse(t, "s/k={random}")[0], nil); err != nil {
		t.Fatal(err)
	}
}

func TestSaysWhatToDoAboutWhatGotLost(t *testing.T) {
	advice := map[string]string{"parley-postgres": "restart it", "parley-redis": "restart that"}
	for made, want := range map[string]string{
		"":                             "",
		"parley-postgres":              "parley-postgres was missing and has been created again: restart it",
		"parley-check":                 "",
		"parley-postgres parley-redis": "", // a first installation
	} {
		if got := strings.Join(secrets.LossAdvice(strings.Fields(made), advice), "\n"); got != want {
			t.Errorf("made %q: says %q", made, got)
		}
	}
}

func TestSaysWhatIsWrong(t *testing.T) {
	server := kubetest.New(t)
	server.Refuse = func(r *http.Request) int {
		if r.Method == http.MethodPost {
			return http.StatusForbidden
		}
		return 0
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := secrets.Ensure(ctx, server.Client(t), parse(t, "s/k={random}")[0], nil)
	if err == nil || !strings.Contains(err.Error(), "POST /api/v1/namespaces/chat/secrets") || !strings.Contains(err.Error(), "Role") || ctx.Err() != nil {
		t.Errorf("without the right to create: %v", err)
	}
	_, err = secrets.Ensure(ctx, server.Client(t), parse(t, "s/url=postgres://{password}@host")[0], nil)
	if err == nil || !strings.Contains(err.Error(), "{password} is neither in the Secret nor given before this key") {
		t.Errorf("a template of what is not there: %v", err)
	}
	for _, args := range [][]string{{"s/k"}, {"s=v"}, {"s/k="}, {"S/k=v"}, {"s/k k=v"}, {"s/random=v"}, {"s/k=v", "s/k=w"}, {"../s/k=v"}} {
		if _, err := secrets.Parse(args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
