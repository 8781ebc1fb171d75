// Package servertest has what tests of a whole server share: a standalone server in the test's process, whose traffic
// is held against the documents of the API, raw calls and sockets, and the built programs.
package servertest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/services/standalone/standalonetest"
	"github.com/parley-chat/parley/services/web"
	"github.com/parley-chat/parley/test/contract"
)

// Repository is the folder of the whole source.
func Repository() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Documents are docs/openapi.yaml and docs/asyncapi.yaml: the traffic of all these servers is held against them.
var Documents = sync.OnceValues(func() (*contract.Contract, error) { return contract.Load(filepath.Join(Repository(), "docs")) })

// LateAtLast is when what should come at once is late, on a machine that does much else besides: well before
// it comes by itself, as a long poll's end or a heartbeat does.
const LateAtLast = 18 * time.Second

// The first administrator of the servers that tests start.
const (
	AdminName     = standalonetest.AdminName
	AdminPassword = standalonetest.AdminPassword
)

// Server is a server and its clients, whose traffic is held against the documents.
type Server struct {
	*standalonetest.Server // nil: it runs in a process of its own

	URL     string
	API     *client.HTTP
	HTTP    *http.Client // of Call
	Traffic *contract.Traffic
}

// Serve starts a server on the folder data, with variables on top of what the tests want anyway.
func Serve(t testing.TB, data string, variables ...string) *Server {
	t.Helper()
	s := standalonetest.Serve(t, data, variables...)
	watched := At(t, s.URL)
	watched.Server = s
	return watched
}

// Build puts a server together that nobody has started, and whose clients may not connect.
func Build(t testing.TB, data string) (*Server, *standalonetest.Built) {
	t.Helper()
	built, err := standalonetest.Build(t, io.Discard, io.Discard, data)
	if err != nil {
		t.Fatal(err)
	}
	s := At(t, "http://parley")
	s.Server = &standalonetest.Server{App: built.App()}
	return s, built
}

// At is a server that runs already.
func At(t testing.TB, url string) *Server {
	t.Helper()
	s := &Server{URL: url}
	s.watch(t)
	return s
}

// watch makes the clients of s.
func (s *Server) watch(t testing.TB) {
	t.Helper()
	documents, err := Documents()
	if err != nil {
		t.Fatal(err)
	}
	s.Traffic = documents.Watch(func(err error) {
		if _, fuzzing := t.(*testing.F); fuzzing {
			panic(err) // a target may not call F's methods
		}
		t.Error("against the documents:", err)
	})
	transport := s.Traffic.Transport(http.DefaultTransport, IsPage(t))
	s.HTTP = &http.Client{Transport: transport}
	s.API = client.NewHTTP(s.URL, &http.Client{Timeout: 20 * time.Second, Transport: transport})
}

// IsPage tells the paths of the web page's files, which the documents say nothing of.
func IsPage(t testing.TB) func(path string) bool {
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

// People are one of each kind, by what they are; "" is nobody's token.
func (s *Server) People(t testing.TB) map[string]client.SignIn {
	t.Helper()
	staff, err := s.API.Login(t.Context(), AdminName, AdminPassword)
	if err != nil {
		t.Fatal(err)
	}
	user, err := s.API.Signup(t.Context(), "ursula", "correct horse staple")
	if err != nil {
		t.Fatal(err)
	}
	guest, err := s.API.Guest(t.Context(), "Gil")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]client.SignIn{"nobody": {}, "guest": guest, "user": user, "staff": staff}
}

// Answer is what an HTTP call answered.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Code is the error's code, "" for none.
func (a Answer) Code() string {
	var body struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal([]byte(a.Body), &body)
	return body.Error.Code
}

// Call makes a raw HTTP call; body may be empty. Headers are "Name: value".
func (s *Server) Call(t testing.TB, method, path, token, body string, headers ...string) Answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
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
	response, err := s.HTTP.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Answer{response.StatusCode, response.Header, string(content)}
}

// Pause waits.
func Pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// Quoted is s as JSON has it.
func Quoted(s string) string { return fmt.Sprintf("%q", s) }
