// Package webapi is the HTTP side that all services share: the Fiber app and its limits, the one
// table from error codes to statuses, callers and their origins, rate limits, internal listeners.
package webapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/observe"
	"github.com/parley-chat/parley/pkg/trace"
)

// Options says what an app serves.
type Options struct {
	Service   string // of the metrics' names: auth, rooms, edge, web, standalone
	Log       *slog.Logger
	Registry  prometheus.Registerer
	Tracer    *trace.Tracer // nil: nothing is traced
	BodyLimit int           // bytes of a request's body, 64 KiB if 0
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Internal says that other services call, whose traces are gone on with. Strangers can't choose what is
	// traced, and no trace begins with what a service does by itself once a second.
	Internal bool
	// Secure says that browsers come by TLS: they are told to come by nothing else.
	Secure bool
	// Hosts are the names that requests may be for; nil is any.
	Hosts Hosts

	times times
}

// times bound what a client may keep us waiting for.
type times struct {
	read  time.Duration // for a request: its head and its body
	write time.Duration // to take an answer; a stream moves its own deadline as it writes
	idle  time.Duration // between requests
}

func (t times) orDefaults() times {
	if t == (times{}) {
		return times{read: 30 * time.Second, write: 30 * time.Second, idle: 2 * time.Minute}
	}
	return t
}

// mostConnections is more than a listener ever hands to fasthttp, whose own refusal has not our form.
const mostConnections = 1 << 20

// New makes an app that answers every failure in the error form of PROTOCOL.md.
func New(o Options) *fiber.App {
	if o.BodyLimit == 0 {
		o.BodyLimit = 64 << 10
	}
	t, answers := o.times.orDefaults(), standard{secure: o.Secure}
	app := fiber.New(fiber.Config{
		AppName:               "parley-" + o.Service,
		DisableStartupMessage: true,
		Immutable:             true, // Fiber's strings are borrowed otherwise
		BodyLimit:             o.BodyLimit,
		ReadBufferSize:        16 << 10, // also the limit of all headers together
		Concurrency:           mostConnections,
		ReadTimeout:           t.read,
		WriteTimeout:          t.write,
		IdleTimeout:           t.idle,
		ErrorHandler:          errorHandler(o.Log, answers),
		// A path is written in one way only, as proxies before us route it.
		StrictRouting: true, CaseSensitive: true,
		DisablePreParseMultipartForm: true, // nobody takes one
	})
	seconds := metric.Histograms(o.Registry, "parley_"+o.Service+"_http_request_seconds", "Time to answer an HTTP request, by route, method and status.",
		prometheus.ExponentialBuckets(0.0005, 2.5, 12), "route", "method", "code")
	app.Use(observed(o, seconds), answers.headers, recovered(o.Log))
	server := app.Server()
	server.Handler = gate{answers, o.Hosts}.before(server.Handler)
	server.KeepHijackedConns = true // whoever takes a connection over ends it
	return app
}

type clientIPKey struct{}

// observed counts, traces and logs each request. Bodies, queries and tokens are never logged.
func observed(o Options, seconds *prometheus.HistogramVec) fiber.Handler {
	refused := newRefusals(o.Log)
	return func(c *fiber.Ctx) error {
		start := time.Now()
		id := NewID()
		c.Response().Header.Set(fiber.HeaderXRequestID, id)
		c.Locals(clientIPKey{}, clientIP(c, o.TrustedProxies))
		ctx, span := begin(c, o, observe.WithRequest(c.UserContext(), id))
		c.SetUserContext(ctx)
		err := c.Next()
		failed := err
		if err != nil {
			err = c.App().Config().ErrorHandler(c, err)
		}
		if err != nil {
			span.End(err)
			return err
		}
		took := time.Since(start)
		status := c.Response().StatusCode()
		metric.Observe(seconds.WithLabelValues(route(c), method(c), strconv.Itoa(status)), took.Seconds(), span.TraceID())
		if span.Recorded() {
			span.Name(method(c) + " " + route(c))
			span.Int("http.response.status_code", int64(status))
		}
		if status < fiber.StatusInternalServerError {
			failed = nil // the caller's fault
		}
		span.End(failed)
		refused.log(c, status)
		o.Log.DebugContext(ctx, "request", slog.String("method", c.Method()), slog.String("path", c.Path()),
			slog.Int("status", status), slog.Duration("took", took))
		if status == fiber.StatusTooManyRequests && !o.Internal {
			slowDown(c.Context().Done())
		}
		return nil
	}
}

// refusedAfter is how long a caller waits for the answer that it asks too often. A script that asks again at once
// thus costs a hundredth of what it would; a caller that heeds Retry-After loses nothing.
const refusedAfter = 250 * time.Millisecond

// slowDown waits, but not for a server that stops.
func slowDown(stopped <-chan struct{}) {
	timer := time.NewTimer(refusedAfter)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stopped:
	}
}

// begin begins the span of a request.
func begin(c *fiber.Ctx, o Options, ctx context.Context) (context.Context, trace.Span) { //nolint:revive // the context is what is begun in
	switch {
	case o.Tracer == nil:
		return ctx, trace.Span{}
	case o.Internal:
		return o.Tracer.Follow(trace.From(ctx, c.Get("traceparent")), trace.Server, "request")
	default:
		return o.Tracer.Begin(ctx, trace.Server, "request")
	}
}

// route names the pattern that matched: a closed set, unlike the path.
func route(c *fiber.Ctx) string {
	if r := c.Route(); r != nil && r.Path != "/" || c.Path() == "/" {
		return r.Path
	}
	return "none"
}

// method keeps to the set of known methods, since strangers may send any.
func method(c *fiber.Ctx) string {
	switch m := c.Method(); m {
	case fiber.MethodGet, fiber.MethodHead, fiber.MethodPost, fiber.MethodPut, fiber.MethodPatch, fiber.MethodDelete, fiber.MethodOptions:
		return m
	default:
		return "other"
	}
}

// recovered turns a panic of a handler into a blank internal error, with the stack in the log.
func recovered(log *slog.Logger) fiber.Handler {
	return recover.New(recover.Config{EnableStackTrace: true, StackTraceHandler: func(c *fiber.Ctx, e any) {
		log.ErrorContext(c.UserContext(), "handler panicked", slog.Any("panic", e), slog.String("path", c.Path()), slog.String("stack", stack()))
	}})
}

// Server runs an app on a listener as a part of a process.
type Server struct {
	App      *fiber.App
	Listener net.Listener
	// Grace is how long requests under way may take when the server stops, 10 s if 0.
	Grace time.Duration
}

// Run serves until ctx ends, then waits for the requests under way. Sockets are not requests: whoever
// owns them drains them before.
func (s *Server) Run(ctx context.Context, ready func()) error {
	served := make(chan error, 1)
	go func() { served <- s.App.Listener(s.Listener) }()
	ready()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace := s.Grace
	if grace == 0 {
		grace = 10 * time.Second
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := s.App.ShutdownWithContext(stopping)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // the stragglers end with the process
	}
	closed := s.Listener.Close()
	if errors.Is(closed, net.ErrClosed) {
		closed = nil // as it should be: the app closed it
	}
	return errors.Join(err, closed, <-served)
}
