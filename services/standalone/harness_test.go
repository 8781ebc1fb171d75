package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/observe"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/standalone/internal/contract"
	"github.com/parley-chat/parley/services/web"
)

// apiDocs is docs/openapi.yaml and docs/asyncapi.yaml: whatever these tests hear of a server is held
// against them.
var apiDocs = sync.OnceValues(func() (*contract.Contract, error) { return contract.Load("../../docs") })

// lateAtLast is when what should come at once is late, on a machine that does much else besides: well before
// it comes by itself, as a long poll's end or a heartbeat does.
const lateAtLast = 18 * time.Second

// The first administrator of the servers that tests start.
const adminName, adminPassword = "root", "correct horse battery"

// server is a standalone server in the test's process.
type server struct {
	url     string
	api     *client.HTTP
	http    *http.Client // of call
	traffic *contract.Traffic
	app     *fiber.App
	out     *bytes.Buffer
	metrics *prometheus.Registry
	log     *bytes.Buffer // to be read when it has stopped
	secret  string        // what its services show each other
	stop    func()        // waits until it has stopped; may be called again
}

// serve starts a server on the folder data, with variables on top of what the tests want anyway.
func serve(t testing.TB, data string, variables ...string) *server {
	t.Helper()
	s, err := tryServe(t, data, variables...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// assemble puts a server together that nobody has started.
func assemble(t testing.TB, out, log io.Writer, data string, variables ...string) (*standalone, *process.Process, []lifecycle.Part, error) {
	t.Helper()
	values := map[string]string{
		"PARLEY_LISTEN": "127.0.0.1:0", "PARLEY_DATA": data, "PARLEY_ADMIN_USER": adminName, "PARLEY_ADMIN_PASSWORD": adminPassword,
		"PARLEY_LOG_LEVEL": "warn",
	}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		values[name] = value
	}
	s := &standalone{out: out, credential: newCredential()}
	reader := env.New(s.lookup(func(name string) (string, bool) { value, ok := values[name]; return value, ok }))
	readiness := &observe.Readiness{}
	p := &process.Process{
		Env: reader, Log: observe.NewLogger(log, observe.LogConfigFrom(reader, "text")),
		Registry: observe.NewRegistry(readiness), Readiness: readiness,
	}
	parts, err := s.build(t.Context(), p)
	return s, p, parts, err
}

func tryServe(t testing.TB, data string, variables ...string) (*server, error) {
	t.Helper()
	var out, log bytes.Buffer
	s, p, parts, err := assemble(t, &out, &log, data, variables...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ran := make(chan struct{}), make(chan error, 1)
	go func() { ran <- lifecycle.Run(ctx, func() { close(ready) }, parts...) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error("the server:", err)
		}
		if t.Failed() && log.Len() > 0 {
			t.Logf("the server's log:\n%s", log.String())
		}
	})
	t.Cleanup(stop)
	select {
	case <-ready:
	case err := <-ran:
		ran <- nil
		return nil, err
	}
	started := &server{url: "http://" + s.address.String(), app: appOf(parts), out: &out, metrics: p.Registry, log: &log, secret: s.credential, stop: stop}
	started.watch(t)
	return started, nil
}

// appOf is the app that everybody may call.
func appOf(parts []lifecycle.Part) *fiber.App {
	for _, part := range parts {
		if listener, ok := part.Component.(*webapi.Server); ok && part.Name == "standalone" {
			return listener.App
		}
	}
	return nil
}

// watch makes the clients of s, whose traffic is held against the documents.
func (s *server) watch(t testing.TB) {
	t.Helper()
	documents, err := apiDocs()
	if err != nil {
		t.Fatal(err)
	}
	s.traffic = documents.Watch(func(err error) {
		if _, fuzzing := t.(*testing.F); fuzzing {
			panic(err) // a target may not call F's methods
		}
		t.Error("against the documents:", err)
	})
	transport := s.traffic.Transport(http.DefaultTransport, isPage(t))
	s.http = &http.Client{Transport: transport}
	s.api = client.NewHTTP(s.url, &http.Client{Timeout: 20 * time.Second, Transport: transport})
}

// isPage tells the paths of the web page's files, which the documents say nothing of.
func isPage(t testing.TB) func(path string) bool {
	t.Helper()
	pages, err := web.New()
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New()
	pages.Routes(app)
	known := map[string]bool{}
	for _, route := range app.GetRoutes() {
		known[route.Path] = true
	}
	return func(path string) bool { return known[path] }
}

// people are one of each kind, by what they are; "" is nobody's token.
func (s *server) people(t testing.TB) map[string]client.SignIn {
	t.Helper()
	staff, err := s.api.Login(t.Context(), adminName, adminPassword)
	if err != nil {
		t.Fatal(err)
	}
	user, err := s.api.Signup(t.Context(), "ursula", "correct horse staple")
	if err != nil {
		t.Fatal(err)
	}
	guest, err := s.api.Guest(t.Context(), "Gil")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]client.SignIn{"nobody": {}, "guest": guest, "user": user, "staff": staff}
}

// answer is what an HTTP call answered.
type answer struct {
	status int
	header http.Header
	body   string
}

// code is the error's code, "" for none.
func (a answer) code() string {
	var body struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal([]byte(a.body), &body)
	return body.Error.Code
}

// call makes a raw HTTP call; body may be empty. Headers are "Name: value".
func (s *server) call(t testing.TB, method, path, token, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	response, err := s.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(content)}
}

func pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }
