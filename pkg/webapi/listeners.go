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

// Listener is an app on a listener of its own.
type Listener struct {
	Name        string // of the part and of the metrics
	Variable    string // that Address was read from
	Address     string
	BodyLimit   int
	Internal    bool
	Secure      bool // of Options
	Connections Connections
	Routes      func(fiber.Router)
}

// Connections bound those of a listener: all, and those of one client address. 0 is what the process's
// descriptors allow, and half of that.
type Connections struct{ Max, PerAddress int }

// ConnectionsFrom reads PARLEY_CONNECTIONS and PARLEY_CONNECTIONS_ADDRESS.
func ConnectionsFrom(r *env.Reader) Connections {
	return Connections{
		Max:        r.Int("PARLEY_CONNECTIONS", 0, 0, "Connections that the public listener holds; more are answered 503 and closed. 0, or too many, is what the limit of open files allows."),
		PerAddress: r.Int("PARLEY_CONNECTIONS_ADDRESS", 0, 0, "Connections of one client address (IPv6: one /64), 0 is half of all. It does not hold for `PARLEY_TRUSTED_PROXIES`."),
	}
}

// within returns the bounds that hold where most connections are possible.
func (c Connections) within(most int) Connections {
	if c.Max == 0 || c.Max > most {
		c.Max = most
	}
	if c.PerAddress == 0 {
		c.PerAddress = max(c.Max/2, 1)
	}
	return c
}

// PublicFrom reads PARLEY_LISTEN and what else a public listener is told.
func PublicFrom(r *env.Reader, name string, bodyLimit int) Listener {
	const variable = "PARLEY_LISTEN"
	return Listener{
		Name: name, Variable: variable, Address: r.String(variable, ":8080", "Where the public API is served."), BodyLimit: bodyLimit,
		Secure: secureFrom(r), Connections: ConnectionsFrom(r),
	}
}

// InternalFrom reads PARLEY_INTERNAL_LISTEN.
func InternalFrom(r *env.Reader, name string, bodyLimit int) Listener {
	const variable = "PARLEY_INTERNAL_LISTEN"
	return Listener{Name: name + "_internal", Variable: variable, Address: r.String(variable, ":8081", "Where other services call. No Ingress may route to it."), BodyLimit: bodyLimit, Internal: true}
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

// Listen opens the listener of an app with the same options, within bounds; variable names where the address
// came from, for the error.
func Listen(ctx context.Context, variable, address string, bounds Connections, o Options) (net.Listener, error) {
	budget := listen.BudgetHere()
	if o.Internal { // its peers are pods, and those of a kind are no stranger than all together
		bounds = Connections{Max: budget.Internal, PerAddress: budget.Internal}
	} else {
		bounds = bounds.within(budget.Public)
	}
	refused := metric.Counters(o.Registry, "parley_"+o.Service+"_tcp_connections_refused_total", "Connections that were closed at once, because too many were open in all (full) or of their address.", "reason", string(listen.Full), string(listen.AddressFull))
	failed := promauto.With(o.Registry).NewCounter(prometheus.CounterOpts{Name: "parley_" + o.Service + "_accepts_failed_total", Help: "Times that no connection could be accepted, as for want of file descriptors."})
	listener, err := listen.Open(ctx, variable, address, listen.Options{
		Log: o.Log, Max: bounds.Max, PerAddress: bounds.PerAddress, Exempt: o.TrustedProxies,
		Answer: standard{secure: o.Secure}.full, Failed: failed.Inc,
		Refused: func(reason listen.Reason) { refused.WithLabelValues(string(reason)).Inc() },
	})
	if err != nil {
		return nil, chat.Errorf(chat.CodeUnavailable, "%v", err)
	}
	promauto.With(o.Registry).NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_" + o.Service + "_tcp_connections", Help: "TCP connections that the listener holds."}, func() float64 { return float64(listener.Connections()) })
	return listener, nil
}

// comeAgain is when a refused client shall come again.
const comeAgain = 5 * time.Second

// full is the answer to a connection that is refused, whatever it asks.
func (s standard) full(reason listen.Reason) []byte {
	message := "too many connections are open, come again"
	if reason == listen.AddressFull {
		message = "too many connections of your address are open, come again"
	}
	var r fasthttp.Response
	s.fill(&r, fiber.StatusServiceUnavailable, FailureError{Code: chat.CodeUnavailable, Message: message, RetryAfterMS: comeAgain.Milliseconds()})
	r.Header.Set(fiber.HeaderRetryAfter, strconv.Itoa(int(comeAgain.Seconds())))
	r.SetConnectionClose()
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	_, _ = r.WriteTo(w) // into memory
	_ = w.Flush()
	return out.Bytes()
}
