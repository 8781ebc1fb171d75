package rooms

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/observe"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/webapi"
)

const credential = "0123456789abcdef0123456789abcdef"

// authority stands in for auth: it signs tokens, publishes its key and keeps a lobby.
type authority struct {
	*httptest.Server

	signer *token.Signer

	mu     sync.Mutex
	log    chat.LogID
	events []lobby.Event
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{log: chat.LogID(rand.Text())}
	if a.signer, err = token.NewSigner("parley", "k", private); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+token.PathKeys, func(w http.ResponseWriter, _ *http.Request) {
		keys, _ := token.EncodeKeys([]token.PublicKey{{ID: "k", Key: public}})
		_, _ = w.Write(keys)
	})
	mux.HandleFunc("POST "+lobby.PathEvents, func(w http.ResponseWriter, r *http.Request) {
		var request lobby.EventsRequest
		if r.Header.Get("Authorization") != "Bearer "+credential || json.NewDecoder(r.Body).Decode(&request) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		head := chat.Seq(len(a.events))
		_ = json.NewEncoder(w).Encode(lobby.Page{Log: a.log, Head: head, Events: a.events[min(request.After, head):]})
	})
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

// token signs one for u with session u.ID.
func (a *authority) token(t *testing.T, u chat.User) string {
	t.Helper()
	raw, err := a.signer.Sign(token.Claims{Tenant: chat.DefaultTenant, User: u, Session: chat.SessionID(u.ID), Issued: time.Now(), Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (a *authority) end(session chat.SessionID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, lobby.Event{Seq: chat.Seq(len(a.events)) + 1, Kind: lobby.SessionEnded, Tenant: chat.DefaultTenant, At: chat.At(time.Now()), Session: session})
}

// pod is a running rooms pod.
type pod struct {
	base     string
	redis    redis.UniversalClient
	registry *prometheus.Registry
	ready    *observe.Readiness
	logs     *lockedBuffer
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, c Config) pod {
	t.Helper()
	s := pod{registry: prometheus.NewRegistry(), ready: &observe.Readiness{}, logs: &lockedBuffer{}}
	where := os.Getenv("PARLEY_TEST_REDIS")
	if where == "" {
		t.Fatal("PARLEY_TEST_REDIS names no Redis to test with; make test starts one")
	}
	var err error
	if s.redis, err = stream.Open(where); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	rooms, err := New(t.Context(), c, Deps{Log: log, Registry: s.registry, Readiness: s.ready, Now: time.Now, Redis: s.redis})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.base = "http://" + listener.Addr().String()
	app := webapi.New(webapi.Options{Service: "rooms", Log: log, Registry: s.registry})
	rooms.Routes(app)
	rooms.InternalRoutes(app)
	parts := append(rooms.Parts(), lifecycle.Part{Name: "http", Component: &webapi.Server{App: app, Listener: listener, Grace: time.Second}})
	ctx, stop := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- lifecycle.Run(ctx, func() { close(ready) }, parts...) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = s.redis.Close()
	})
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	case <-time.After(10 * time.Second):
		t.Fatal("never ready")
	}
	return s
}

func configOf(t *testing.T, a *authority, more map[string]string) Config {
	t.Helper()
	values := map[string]string{
		"PARLEY_ROOMS_DATABASE": "sqlite:" + filepath.Join(t.TempDir(), "rooms.db"), "PARLEY_AUTH_URL": a.URL, "PARLEY_SERVICE_CREDENTIAL": credential,
	}
	maps.Copy(values, more)
	r := env.New(func(name string) (string, bool) { v, ok := values[name]; return v, ok })
	c := ConfigFrom(r)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (s pod) call(t *testing.T, raw, method, path, body string, answer any) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if raw != "" {
		request.Header.Set("Authorization", "Bearer "+raw)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer != nil {
		if err := json.Unmarshal(text, answer); err != nil {
			t.Fatal(err, string(text))
		}
	}
	return response.StatusCode
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

var ada = chat.User{ID: "u-ada", Name: "Ada", Kind: chat.KindUser}

func TestAMessageGoesToTheStreamAndADeleteEmptiesIt(t *testing.T) {
	a := newAuthority(t)
	s := start(t, configOf(t, a, nil))
	raw := a.token(t, ada)
	var room chat.Room
	if status := s.call(t, raw, "GET", "/api/rooms/general", "", &room); status != 200 {
		t.Fatal("no first room:", status)
	}
	const canary = "the canary sings"
	for n := range 3 {
		if status := s.call(t, raw, "POST", "/api/rooms/general/messages", fmt.Sprintf(`{"body":%q,"nonce":"n%d"}`, canary, n), nil); status != 201 {
			t.Fatal(status)
		}
	}
	key := stream.Room{Tenant: chat.DefaultTenant, Log: room.Log}.Key("room")
	ids := func() (all string) {
		for _, m := range s.redis.XRange(t.Context(), key, "-", "+").Val() {
			all += fmt.Sprint(m.ID, m.Values["k"], " ")
		}
		return all
	}
	eventually(t, "three messages in the stream", func() bool { return ids() == "1-0message 2-0message 3-0message " })
	if status := s.call(t, raw, "DELETE", "/api/rooms/general/messages/2", "", nil); status != 200 {
		t.Fatal(status)
	}
	eventually(t, "only the delete in the stream", func() bool { return ids() == "4-0deleted " })
	if logs := s.logs.String(); strings.Contains(logs, "canary") || strings.Contains(logs, raw) {
		t.Error("the log tells bodies or tokens:", logs)
	}
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range families {
		names[f.GetName()] = true
	}
	for _, name := range []string{"parley_rooms_appends_total", "parley_rooms_append_batch_entries", "parley_rooms_append_duration_seconds", "parley_rooms_heads_age_seconds"} {
		if !names[name] {
			t.Error("no metric", name)
		}
	}
}

func TestAnEndedSessionIsRefusedEverywhere(t *testing.T) {
	a := newAuthority(t)
	s := start(t, configOf(t, a, nil))
	raw := a.token(t, ada)
	ask := func() (chat.Code, chat.Code) {
		var access roomsapi.AccessResponse
		var appended roomsapi.AppendResponse
		s.call(t, credential, "POST", roomsapi.PathAccess, fmt.Sprintf(`{"questions":[{"token":%q,"slug":"general"}]}`, raw), &access)
		s.call(t, credential, "POST", roomsapi.PathAppend, fmt.Sprintf(`{"entries":[{"token":%q,"room":1,"kind":"send","nonce":"n","body":"hi"}]}`, raw), &appended)
		return chat.CodeOf(access.Answers[0].Error.Err()), chat.CodeOf(appended.Outcomes[0].Error.Err())
	}
	if access, appended := ask(); access != "" || appended != "" {
		t.Fatal(access, appended)
	}
	a.end("u-somebody-else")
	a.end("u-ada")
	eventually(t, "refused", func() bool { access, _ := ask(); return access == chat.CodeUnauthenticated })
	if _, appended := ask(); appended != chat.CodeUnauthenticated {
		t.Error(appended)
	}
	if status := s.call(t, raw, "GET", "/api/rooms", "", nil); status != 401 {
		t.Error(status)
	}
}

func TestWithoutWordOfAuthNobodyIsTrustedAfterTheGrace(t *testing.T) {
	a := newAuthority(t)
	s := start(t, configOf(t, a, map[string]string{"PARLEY_GRACE": "1500ms"}))
	raw := a.token(t, ada)
	if status := s.call(t, raw, "GET", "/api/rooms/general", "", nil); status != 200 {
		t.Fatal(status)
	}
	a.CloseClientConnections()
	a.Close()
	if status := s.call(t, raw, "GET", "/api/rooms/general", "", nil); status != 200 {
		t.Fatal("no grace:", status)
	}
	eventually(t, "unavailable", func() bool { return s.call(t, raw, "GET", "/api/rooms/general", "", nil) == 503 })
	if status := s.call(t, "", "GET", "/api/rooms/general", "", nil); status != 200 {
		t.Error("who shows no token needs no auth:", status)
	}
}

func TestConfigurationMistakesAreToldAllAtOnce(t *testing.T) {
	values := map[string]string{"PARLEY_ROOMS_DATABASE": "mysql://x", "PARLEY_SERVICE_CREDENTIAL": "short", "PARLEY_ROOMS_SEED": "perhaps", "PARLEY_LIMIT_SENDS_HTTP": "-1"}
	r := env.New(func(name string) (string, bool) { v, ok := values[name]; return v, ok })
	ConfigFrom(r)
	err := r.Err()
	for _, name := range []string{"PARLEY_ROOMS_DATABASE", "PARLEY_SERVICE_CREDENTIAL", "PARLEY_ROOMS_SEED", "PARLEY_LIMIT_SENDS_HTTP", "PARLEY_AUTH_URL"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in: %v", name, err)
		}
	}
}

func TestNewLogs(t *testing.T) {
	a := newAuthority(t)
	c := configOf(t, a, nil)
	var before, after chat.Room
	t.Run("before", func(t *testing.T) { start(t, c).call(t, "", "GET", "/api/rooms/general", "", &before) })
	if n, err := NewLogs(t.Context(), c.Database); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	t.Run("after", func(t *testing.T) { start(t, c).call(t, "", "GET", "/api/rooms/general", "", &after) })
	if before.Log == "" || before.Log == after.Log || before.CreatedAt != after.CreatedAt {
		t.Error(before, after)
	}
}
