// Package webapi is the HTTP server that all services share: the Fiber app and its limits, the mapping from
// error codes to statuses, authentication of callers, checks of origins, and calls between services.
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

// Options configures an app.
type Options struct {
	Service   string // in the metrics' names: auth, rooms, edge, web, standalone
	Log       *slog.Logger
	Registry  prometheus.Registerer
	Tracer    *trace.Tracer // nil: tracing is off
	BodyLimit int           // bytes of a request's body; 0 means 64 KiB
	// TrustedProxies are the networks whose X-Forwarded-For is trusted.
	TrustedProxies []netip.Prefix
	// Internal means that other services are the clients. The app then continues their traces but starts none, so
	// a service's periodic calls are not traced. A public app ignores the traces of its clients, so that clients
	// can't choose what is traced.
	Internal bool
	// Secure means that browsers connect by TLS. Responses then have an HSTS header.
	Secure bool
	// Hosts are the host names that requests may use; nil means any.
	Hosts Hosts

	timeouts timeouts
}

// timeouts bound how long a client may keep a connection waiting.
type timeouts struct {
	read  time.Duration // for the headers and the body of a request
	write time.Duration // for the response; a stream extends its own deadline as it writes
	idle  time.Duration // between requests
}

func (t timeouts) orDefaults() timeouts {
	if t == (timeouts{}) {
		return timeouts{read: 30 * time.Second, write: 30 * time.Second, idle: 2 * time.Minute}
	}
	return t
}

// maxConcurrency is more than a listener ever passes to fasthttp. fasthttp's own refusal would not have our error
// format.
const maxConcurrency = 1 << 20

// New makes an app that answers every failure in the error format of the wire contract.
func New(o Options) *fiber.App {
	if o.BodyLimit == 0 {
		o.BodyLimit = 64 << 10
	}
	t, common := o.timeouts.orDefaults(), commonHeaders{secure: o.Secure}
	app := fiber.New(fiber.Config{
		AppName:               "parley-" + o.Service,
		DisableStartupMessage: true,
		Immutable:             true, // otherwise Fiber reuses the memory of its strings
		BodyLimit:             o.BodyLimit,
		ReadBufferSize:        16 << 10, // also the limit of all headers together
		Concurrency:           maxConcurrency,
		ReadTimeout:           t.read,
		WriteTimeout:          t.write,
		IdleTimeout:           t.idle,
		ErrorHandler:          errorHandler(o.Log, common),
		// Each path has only one spelling, so that proxies and the app agree on its route.
		StrictRouting: true, CaseSensitive: true,
		DisablePreParseMultipartForm: true, // no route takes one
	})
	seconds := metric.Histograms(o.Registry, "parley_"+o.Service+"_http_request_seconds", "Time to answer an HTTP request, by route, method and status.",
		prometheus.ExponentialBuckets(0.0005, 2.5, 12), "route", "method", "code")
	app.Use(observed(o, seconds), common.middleware, recovered(o.Log))
	server := app.Server()
	server.Handler = requestFilter{common, o.Hosts}.wrap(server.Handler)
	server.KeepHijackedConns = true // the handler that hijacks a connection closes it
	return app
}

type clientIPKey struct{}

// observed counts, traces and logs each request. It never logs bodies, queries and tokens.
func observed(o Options, seconds *prometheus.HistogramVec) fiber.Handler {
	refusals := newRefusalLog(o.Log)
	return func(c *fiber.Ctx) error {
		start := time.Now()
		id := NewID()
		c.Response().Header.Set(fiber.HeaderXRequestID, id)
		c.Locals(clientIPKey{}, clientIP(c, o.TrustedProxies))
		ctx, span := startSpan(c, o, observe.WithRequest(c.UserContext(), id))
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
		if span.IsRecording() {
			span.SetName(method(c) + " " + route(c))
			span.SetInt("http.response.status_code", int64(status))
		}
		if status < fiber.StatusInternalServerError {
			failed = nil // a client error is not a failure of the span
		}
		span.End(failed)
		refusals.log(c, status)
		o.Log.DebugContext(ctx, "request", slog.String("method", c.Method()), slog.String("path", c.Path()),
			slog.Int("status", status), slog.Duration("took", took))
		if status == fiber.StatusTooManyRequests && !o.Internal {
			delay(c.Context().Done())
		}
		return nil
	}
}

// rateLimitDelay is how long a 429 response is held back. It slows a script that retries at once down to a
// hundredth of its load. A client that respects Retry-After loses nothing.
const rateLimitDelay = 250 * time.Millisecond

// delay waits for rateLimitDelay, or until the server stops.
func delay(stopped <-chan struct{}) {
	timer := time.NewTimer(rateLimitDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stopped:
	}
}

// startSpan starts the span of a request.
func startSpan(c *fiber.Ctx, o Options, ctx context.Context) (context.Context, trace.Span) { //nolint:revive // the context is the one to extend
	switch {
	case o.Tracer == nil:
		return ctx, trace.Span{}
	case o.Internal:
		return o.Tracer.StartChild(trace.Extract(ctx, c.Get("traceparent")), trace.Server, "request")
	default:
		return o.Tracer.Start(ctx, trace.Server, "request")
	}
}

// route returns the pattern that matched. Patterns are a closed set, unlike paths.
func route(c *fiber.Ctx) string {
	if r := c.Route(); r != nil && r.Path != "/" || c.Path() == "/" {
		return r.Path
	}
	return "none"
}

// method returns the request's method, or "other" for an unknown one, because clients can send any text.
func method(c *fiber.Ctx) string {
	switch m := c.Method(); m {
	case fiber.MethodGet, fiber.MethodHead, fiber.MethodPost, fiber.MethodPut, fiber.MethodPatch, fiber.MethodDelete, fiber.MethodOptions:
		return m
	default:
		return "other"
	}
}

// recovered turns a panic of a handler into an internal error, and logs the stack.
func recovered(log *slog.Logger) fiber.Handler {
	return recover.New(recover.Config{EnableStackTrace: true, StackTraceHandler: func(c *fiber.Ctx, e any) {
		log.ErrorContext(c.UserContext(), "handler panicked", slog.Any("panic", e), slog.String("path", c.Path()), slog.String("stack", stack()))
	}})
}

// Server is the part of a process that serves an app on a listener.
type Server struct {
	App      *fiber.App
	Listener net.Listener
	// Grace is how long requests in flight may take when the server stops; 0 means 10 s.
	Grace time.Duration
}

// Run serves until ctx ends, and then waits for the requests in flight. It does not wait for WebSockets: their
// owner must drain them before.
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
		err = nil // requests that are still in flight end with the process
	}
	closed := s.Listener.Close()
	if errors.Is(closed, net.ErrClosed) {
		closed = nil // the app has already closed it
	}
	return errors.Join(err, closed, <-served)
}
