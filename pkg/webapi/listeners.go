package webapi

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/valyala/fasthttp"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/listen"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/trace"
)

// Listener describes an app on a listener of its own.
type Listener struct {
	Name        string // of the part and in the metrics' names
	Variable    string // the variable with the address
	Address     string
	BodyLimit   int
	Internal    bool
	Secure      bool // see Options
	Connections Connections
	Routes      func(fiber.Router)
}

// Connections bounds the open connections of a listener, in all and per client address. A Max of 0 is what the
// limit of file descriptors allows. A PerAddress of 0 is half of Max.
type Connections struct{ Max, PerAddress int }

// ConnectionsFrom reads PARLEY_CONNECTIONS and PARLEY_CONNECTIONS_ADDRESS.
func ConnectionsFrom(r *env.Reader) Connections {
	return Connections{
		Max:        r.Int("PARLEY_CONNECTIONS", 0, 0, "How many connections the public listener holds. It answers 503 to further ones and closes them. 0 means as many as the limit of open files allows, which is also the upper bound."),
		PerAddress: r.Int("PARLEY_CONNECTIONS_ADDRESS", 0, 0, "How many connections one client address (IPv6: one /64) may hold. 0 means half of all. `PARLEY_TRUSTED_PROXIES` are exempt."),
	}
}

// withDefaults returns c with its zero values set, and with at most limit connections.
func (c Connections) withDefaults(limit int) Connections {
	if c.Max == 0 || c.Max > limit {
		c.Max = limit
	}
	if c.PerAddress == 0 {
		c.PerAddress = max(c.Max/2, 1)
	}
	return c
}

// PublicFrom reads PARLEY_LISTEN and the other variables of a public listener.
func PublicFrom(r *env.Reader, name string, bodyLimit int) Listener {
	const variable = "PARLEY_LISTEN"
	return Listener{
		Name: name, Variable: variable, Address: r.String(variable, ":8080", "The address that serves the public API."), BodyLimit: bodyLimit,
		Secure: secureFrom(r), Connections: ConnectionsFrom(r),
	}
}

// InternalFrom reads PARLEY_INTERNAL_LISTEN.
func InternalFrom(r *env.Reader, name string, bodyLimit int) Listener {
	const variable = "PARLEY_INTERNAL_LISTEN"
	return Listener{Name: name + "_internal", Variable: variable, Address: r.String(variable, ":8081", "The address that serves the internal API, which other services call. No Ingress may route to it."), BodyLimit: bodyLimit, Internal: true}
}

// Open listens at each address and returns the parts that serve them.
func Open(ctx context.Context, log *slog.Logger, registry prometheus.Registerer, tracer *trace.Tracer, proxies []netip.Prefix, listeners ...Listener) ([]lifecycle.Part, error) {
	parts := make([]lifecycle.Part, 0, len(listeners))
	for _, l := range listeners {
		o := Options{
			Service: l.Name, Log: log, Registry: registry, Tracer: tracer, BodyLimit: l.BodyLimit, TrustedProxies: proxies, Internal: l.Internal, Secure: l.Secure,
		}
		listener, err := Listen(ctx, l.Variable, l.Address, l.Connections, o)
		if err != nil {
			return nil, err
		}
		app := New(o) //nolint:contextcheck // each request has a context of its own
		l.Routes(app)
		parts = append(parts, lifecycle.Part{Name: l.Name, Component: &Server{Listener: listener, App: app}})
	}
	return parts, nil
}

// Listen opens the listener for an app with the same options. Errors name the variable that the address was read
// from.
func Listen(ctx context.Context, variable, address string, bounds Connections, o Options) (net.Listener, error) {
	budget := listen.BudgetHere()
	if o.Internal { // the clients are pods, so one address may hold all connections
		bounds = Connections{Max: budget.Internal, PerAddress: budget.Internal}
	} else {
		bounds = bounds.withDefaults(budget.Public)
	}
	refused := metric.Counters(o.Registry, "parley_"+o.Service+"_tcp_connections_refused_total", "Connections closed at once because too many were open, in all (full) or from their address.", "reason", string(listen.Full), string(listen.AddressFull))
	failed := promauto.With(o.Registry).NewCounter(prometheus.CounterOpts{Name: "parley_" + o.Service + "_accepts_failed_total", Help: "Failures to accept a connection, such as for lack of file descriptors."})
	listener, err := listen.Open(ctx, variable, address, listen.Options{
		Log: o.Log, Max: bounds.Max, PerAddress: bounds.PerAddress, Exempt: o.TrustedProxies,
		Answer: commonHeaders{secure: o.Secure}.tooManyConnections, Failed: failed.Inc,
		Refused: func(reason listen.Reason) { refused.WithLabelValues(string(reason)).Inc() },
	})
	if err != nil {
		return nil, chat.Errorf(chat.CodeUnavailable, "%v", err)
	}
	promauto.With(o.Registry).NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_" + o.Service + "_tcp_connections", Help: "TCP connections that the listener holds."}, func() float64 { return float64(listener.Connections()) })
	return listener, nil
}

// fullRetryAfter is when a client that was refused for too many connections may try again.
const fullRetryAfter = 5 * time.Second

// tooManyConnections returns the response to a refused connection. It is sent without reading the request.
func (s commonHeaders) tooManyConnections(reason listen.Reason) []byte {
	message := "the server has too many open connections; try again in a few seconds"
	if reason == listen.AddressFull {
		message = "your address has too many open connections; close some, or try again in a few seconds"
	}
	var r fasthttp.Response
	s.fill(&r, fiber.StatusServiceUnavailable, FailureError{Code: chat.CodeUnavailable, Message: message, RetryAfterMS: fullRetryAfter.Milliseconds()})
	r.Header.Set(fiber.HeaderRetryAfter, strconv.Itoa(int(fullRetryAfter.Seconds())))
	r.SetConnectionClose()
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	_, _ = r.WriteTo(w) // a buffer in memory does not fail
	_ = w.Flush()
	return out.Bytes()
}
