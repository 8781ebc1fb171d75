// Package standalonetest starts standalone servers in a test's process.
package standalonetest

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/observe"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/standalone"
)

// The first administrator of the servers that tests start.
const (
	AdminName     = "root"
	AdminPassword = "correct horse battery"
)

// Server is a standalone server that runs in the test's process.
type Server struct {
	URL     string
	App     *fiber.App    // that everybody may call
	Out     *bytes.Buffer // what people are told
	Log     *bytes.Buffer // to be read when it has stopped
	Metrics *prometheus.Registry
	Secret  string // what its services show each other
	Stop    func() // waits until it has stopped; may be called again
}

// Built is a server that was put together, and that nobody has started.
type Built struct {
	Server  *standalone.Server
	Process *process.Process
	Parts   []lifecycle.Part
}

// Environ are variables on top of what tests want anyway: a server on the folder data, with an administrator.
func Environ(data string, variables ...string) func(name string) (string, bool) {
	values := map[string]string{
		"PARLEY_LISTEN": "127.0.0.1:0", "PARLEY_DATA": data, "PARLEY_ADMIN_USER": AdminName, "PARLEY_ADMIN_PASSWORD": AdminPassword,
		"PARLEY_LOG_LEVEL": "warn",
	}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		values[name] = value
	}
	return func(name string) (string, bool) { value, ok := values[name]; return value, ok }
}

// Build puts a server together on the folder data.
func Build(t testing.TB, out, log io.Writer, data string, variables ...string) (*Built, error) {
	t.Helper()
	s := standalone.New(out)
	return BuildFrom(t, s, log, s.Lookup(Environ(data, variables...)))
}

// BuildFrom puts s together as lookup says.
func BuildFrom(t testing.TB, s *standalone.Server, log io.Writer, lookup func(name string) (string, bool)) (*Built, error) {
	t.Helper()
	reader, readiness := env.New(lookup), &observe.Readiness{}
	logger := observe.NewLogger(log, observe.LogConfigFrom(reader, standalone.Defaults().LogFormat))
	traces, tracer, err := observe.NewTraces(t.Context(), observe.TraceConfigFrom(reader), standalone.Defaults().Name, logger)
	if err != nil {
		return nil, err
	}
	p := &process.Process{Env: reader, Log: logger, Registry: observe.NewRegistry(readiness), Readiness: readiness, Tracer: tracer}
	parts, err := s.Build(t.Context(), p)
	return &Built{s, p, append([]lifecycle.Part{{Name: "traces", Component: traces}}, parts...)}, err
}

// App is the app that everybody may call.
func (b *Built) App() *fiber.App {
	for _, part := range b.Parts {
		if listener, ok := part.Component.(*webapi.Server); ok && part.Name == standalone.Defaults().Name {
			return listener.App
		}
	}
	return nil
}

// Close closes what Build opened, by starting and stopping it.
func (b *Built) Close(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if err := lifecycle.Run(ctx, stop, b.Parts...); err != nil {
		t.Error(err)
	}
}

// Serve starts a server on the folder data, with variables on top of what tests want anyway.
func Serve(t testing.TB, data string, variables ...string) *Server {
	t.Helper()
	s, err := TryServe(t, data, variables...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TryServe is Serve where the start may fail.
func TryServe(t testing.TB, data string, variables ...string) (*Server, error) {
	t.Helper()
	var out, log bytes.Buffer
	built, err := Build(t, &out, &log, data, variables...)
	if err != nil {
		return nil, err
	}
	s, err := built.Start(t, &log)
	if err != nil {
		return nil, err
	}
	s.Out = &out
	return s, nil
}

// Start runs the server until the test ends. Its log is shown where the test fails.
func (b *Built) Start(t testing.TB, log *bytes.Buffer) (*Server, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ran := make(chan struct{}), make(chan error, 1)
	go func() { ran <- lifecycle.Run(ctx, func() { close(ready) }, b.Parts...) }()
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
	return &Server{
		URL: "http://" + b.Server.Address().String(), App: b.App(), Log: log,
		Metrics: b.Process.Registry, Secret: b.Server.Credential(), Stop: stop,
	}, nil
}
