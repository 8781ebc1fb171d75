// Package webapi is the HTTP side that all services share: the Fiber app and its limits, the one
// table from error codes to statuses, callers and their origins, rate limits, internal listeners.
package webapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/valyala/fasthttp"

	"github.com/parley-chat/parley/pkg/chat"
)

// Options says what an app serves.
type Options struct {
	Service   string // of the metrics' names: auth, rooms, edge, web, standalone
	Log       *slog.Logger
	Registry  prometheus.Registerer
	BodyLimit int // bytes of a request's body, 64 KiB if 0
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Streams says that some answers last as long as the client stays (SSE), so that no time limit
	// may be put on writing one.
	Streams bool
}

// New makes an app that answers every failure in the error form of PROTOCOL.md.
func New(o Options) *fiber.App {
	if o.BodyLimit == 0 {
		o.BodyLimit = 64 << 10
	}
	writeTimeout := 30 * time.Second
	if o.Streams {
		writeTimeout = 0
	}
	app := fiber.New(fiber.Config{
		AppName:               "parley-" + o.Service,
		DisableStartupMessage: true,
		Immutable:             true, // Fiber's strings are borrowed otherwise
		BodyLimit:             o.BodyLimit,
		ReadBufferSize:        16 << 10, // also the limit of all headers together
		ReadTimeout:           30 * time.Second,
		WriteTimeout:          writeTimeout,
		IdleTimeout:           2 * time.Minute,
		ErrorHandler:          errorHandler(o.Log),
	})
	seconds := promauto.With(o.Registry).NewHistogramVec(prometheus.HistogramOpts{
		Name:    "parley_" + o.Service + "_http_request_seconds",
		Help:    "Time to answer an HTTP request, by route, method and status.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 12),
	}, []string{"route", "method", "code"})
	app.Use(observed(o, seconds), headers, recovered(o.Log))
	server := app.Server()
	server.Handler = knownMethods(server.Handler)
	server.KeepHijackedConns = true // whoever takes a connection over ends it
	return app
}

// knownMethods answers the methods that Fiber does not know, which would otherwise get a bare text.
func knownMethods(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(c *fasthttp.RequestCtx) {
		if slices.Contains(fiber.DefaultMethods, string(c.Method())) {
			next(c)
			return
		}
		setHeaders(&c.Response.Header)
		c.SetStatusCode(fiber.StatusMethodNotAllowed)
		c.SetContentType(fiber.MIMEApplicationJSON)
		c.SetBodyString(`{"error":{"code":"bad_request","message":"Method Not Allowed"}}`)
	}
}

type clientIPKey struct{}

// observed counts and logs each request. Bodies, queries and tokens are never logged.
func observed(o Options, seconds *prometheus.HistogramVec) fiber.Handler {
	return func(c *fiber.Ctx) error {
		start := time.Now()
		c.Locals(clientIPKey{}, clientIP(c, o.TrustedProxies))
		err := c.Next()
		if err != nil {
			err = c.App().Config().ErrorHandler(c, err)
		}
		if err != nil {
			return err
		}
		took := time.Since(start)
		status := c.Response().StatusCode()
		seconds.WithLabelValues(route(c), method(c), strconv.Itoa(status)).Observe(took.Seconds())
		o.Log.DebugContext(c.UserContext(), "request", slog.String("method", c.Method()), slog.String("path", c.Path()),
			slog.Int("status", status), slog.Duration("took", took), slog.String("request_id", c.GetRespHeader(fiber.HeaderXRequestID)))
		return nil
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

// headers sets what every answer has, and an id that finds the request in the log.
func headers(c *fiber.Ctx) error {
	setHeaders(&c.Response().Header)
	return c.Next()
}

func setHeaders(h *fasthttp.ResponseHeader) {
	h.Set(fiber.HeaderXRequestID, NewID())
	h.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	h.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	h.Set(fiber.HeaderCacheControl, "no-store") // the web page's files say otherwise
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

// Listen opens a TCP listener; variable names where the address came from, for the error.
func Listen(ctx context.Context, variable, address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, chat.Errorf(chat.CodeUnavailable, "%s: can't listen on %s: %v", variable, address, err)
	}
	return listener, nil
}
