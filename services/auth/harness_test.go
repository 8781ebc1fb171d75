package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/observe"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/auth/internal/httpapi"
	"github.com/parley-chat/parley/services/auth/internal/storetest"
)

const credential = "the services' own credential, long enough"

// clock is turned by hand, and starts at the real time, since keys rotate by it too.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.text.String() }

// server is the whole service with its listeners' apps, on a real store.
type server struct {
	*Service

	t        *testing.T
	clock    *clock
	log      *buffer
	registry *prometheus.Registry
	ready    *observe.Readiness
	public   *fiber.App
	internal *fiber.App
	stop     func()
}

// config is as an operator would have it who set only what is required, with cheap hashes.
func config(t testing.TB, url string) Config {
	t.Helper()
	values := map[string]string{"PARLEY_AUTH_DATABASE": url, "PARLEY_SERVICE_CREDENTIAL": credential}
	reader := env.New(func(name string) (string, bool) { v, ok := values[name]; return v, ok })
	c := ConfigFrom(reader)
	if err := reader.Err(); err != nil {
		t.Fatal(err)
	}
	c.Store.Hashing.MemoryKiB, c.Store.Hashing.Iterations = 64, 1
	return c
}

func start(t *testing.T, url string, change ...func(*Config)) *server {
	t.Helper()
	c := config(t, url)
	for _, f := range change {
		f(&c)
	}
	return startAt(t, c, &clock{now: storetest.Start})
}

func startAt(t *testing.T, c Config, at *clock) *server {
	t.Helper()
	client, err := stream.Open(redisURL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	s := &server{t: t, clock: at, log: &buffer{}, registry: prometheus.NewRegistry(), ready: &observe.Readiness{}}
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.Service, err = New(t.Context(), c, Deps{Log: log, Registry: s.registry, Readiness: s.ready, Now: at.Now, Redis: client})
	if err != nil {
		t.Fatal(err)
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8")} // where a test's requests come from
	s.public = webapi.New(webapi.Options{Service: "auth", Log: log, Registry: s.registry, BodyLimit: bodyLimit, TrustedProxies: trusted})
	s.internal = webapi.New(webapi.Options{Service: "auth_internal", Log: log, Registry: s.registry, BodyLimit: bodyLimit})
	s.Routes(s.public)
	s.InternalRoutes(s.internal)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- lifecycle.Run(ctx, func() { close(ready) }, s.Parts()...) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.stop)
	select {
	case <-ready:
	case err := <-done:
		t.Fatal("stopped before it was ready:", err)
	}
	return s
}

// listen serves app on a port of its own and returns its base URL.
func (s *server) listen(app *fiber.App) string {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := (&webapi.Server{App: app, Listener: listener, Grace: time.Second}).Run(ctx, func() {}); err != nil {
			s.t.Error(err)
		}
	}()
	s.t.Cleanup(func() { cancel(); <-done })
	return "http://" + listener.Addr().String()
}

// answer is what came back.
type answer struct {
	Status int
	Header http.Header
	Raw    string
	Body   struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		ExpiresIn    int    `json:"expires_in"`
		Next         string `json:"next"`
		User         struct {
			chat.User

			Disabled bool `json:"disabled"`
		} `json:"user"`
		Users []chat.User    `json:"users"`
		Error chat.ErrorBody `json:"error"`
	}
}

// call sends body (a string as it is, anything else as JSON) with headers given in pairs.
func (s *server) call(method, path string, body any, headers ...string) answer {
	s.t.Helper()
	return call(s.t, s.public, method, path, body, headers...)
}

func call(t *testing.T, app *fiber.App, method, path string, body any, headers ...string) answer {
	t.Helper()
	text, ok := body.(string)
	if !ok && body != nil {
		content, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(content)
	}
	request := httptest.NewRequest(method, path, strings.NewReader(text))
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := app.Test(request, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{Status: response.StatusCode, Header: response.Header, Raw: string(content)}
	if len(content) > 0 {
		if err := json.Unmarshal(content, &a.Body); err != nil {
			t.Errorf("%s %s answered %q", method, path, content)
		}
	}
	return a
}

func (a answer) want(t *testing.T, what string, status int) answer {
	t.Helper()
	if a.Status != status {
		t.Fatalf("%s: %d %s, want %d", what, a.Status, a.Raw, status)
	}
	if status >= 400 && (a.Body.Error.Code == "" || a.Body.Error.Message == "") {
		t.Fatalf("%s: %q has no error form", what, a.Raw)
	}
	return a
}

type obj map[string]any

func bearer(a answer) []string { return []string{"Authorization", "Bearer " + a.Body.AccessToken} }

const good = "a good enough secret"

func (s *server) signup(name string) answer {
	s.t.Helper()
	return s.call("POST", "/api/auth/signup", obj{"username": name, "password": good}).want(s.t, "signup of "+name, 201)
}

func (s *server) login(name, password string, headers ...string) answer {
	s.t.Helper()
	return s.call("POST", "/api/auth/login", obj{"username": name, "password": password}, headers...)
}

func (s *server) refresh(raw string) answer {
	s.t.Helper()
	return s.call("POST", "/api/auth/refresh", obj{"refresh_token": raw})
}

func (s *server) me(a answer) answer {
	s.t.Helper()
	return s.call("GET", "/api/auth/me", nil, bearer(a)...)
}

// admin signs the first administrator in.
func (s *server) admin() answer {
	s.t.Helper()
	c, err := s.EnsureAdmin(s.t.Context())
	if err != nil || c == nil {
		s.t.Fatal(c, err)
	}
	return s.login(c.Username, c.Password).want(s.t, "the administrator's login", 200)
}

// events asks the lobby as an edge does.
func (s *server) events(after chat.Seq) lobby.Page {
	s.t.Helper()
	a := call(s.t, s.internal, "POST", lobby.PathEvents, obj{"after": after, "limit": 100}, "Authorization", "Bearer "+credential)
	a.want(s.t, "the lobby", 200)
	var page lobby.Page
	if err := json.Unmarshal([]byte(a.Raw), &page); err != nil {
		s.t.Fatal(err)
	}
	return page
}

func cookieOf(a answer, name string) *http.Cookie {
	for _, c := range (&http.Response{Header: a.Header}).Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func from(ip string) []string { return []string{"X-Forwarded-For", ip} }

func unlimited(c *Config) {
	c.Limits = httpapi.Limits{}
}

func each(t *testing.T, test func(s *server)) {
	t.Helper()
	storetest.EachDatabase(t, func(db storetest.Database) { test(start(db.T, db.URL, unlimited)) })
}

func lite(t *testing.T, change ...func(*Config)) *server {
	t.Helper()
	return start(t, "sqlite:"+storetest.SQLite(t), append([]func(*Config){unlimited}, change...)...)
}

func id(i int) string { return fmt.Sprintf("user%d", i) }

func (s *server) logger() *slog.Logger { return slog.New(slog.NewTextHandler(s.log, nil)) }

func (s *server) fresh() *prometheus.Registry { return prometheus.NewRegistry() }

func redisURL(t *testing.T) string {
	t.Helper()
	url := os.Getenv("PARLEY_TEST_REDIS")
	if url == "" {
		t.Fatal("PARLEY_TEST_REDIS is not set; run the tests by make test")
	}
	return url
}
