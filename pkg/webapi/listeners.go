package webapi

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/trace"
)

// Door is an app on a listener of its own.
type Door struct {
	Name      string // of the part and of the metrics
	Variable  string // that Address was read from
	Address   string
	BodyLimit int
	Streams   bool
	Internal  bool
	Routes    func(fiber.Router)
}

// PublicFrom reads PARLEY_LISTEN.
func PublicFrom(r *env.Reader, name string, bodyLimit int) Door {
	const variable = "PARLEY_LISTEN"
	return Door{Name: name, Variable: variable, Address: r.String(variable, ":8080", "Where the public API is served."), BodyLimit: bodyLimit}
}

// InternalFrom reads PARLEY_INTERNAL_LISTEN.
func InternalFrom(r *env.Reader, name string, bodyLimit int) Door {
	const variable = "PARLEY_INTERNAL_LISTEN"
	return Door{Name: name + "_internal", Variable: variable, Address: r.String(variable, ":8081", "Where other services call. No Ingress may route to it."), BodyLimit: bodyLimit, Internal: true}
}

// Open listens at each door and returns what serves them.
func Open(ctx context.Context, log *slog.Logger, registry prometheus.Registerer, tracer *trace.Tracer, proxies []netip.Prefix, doors ...Door) ([]lifecycle.Part, error) {
	parts := make([]lifecycle.Part, 0, len(doors))
	for _, door := range doors {
		listener, err := Listen(ctx, door.Variable, door.Address)
		if err != nil {
			return nil, err
		}
		app := New(Options{ //nolint:contextcheck // each request has a context of its own
			Service: door.Name, Log: log, Registry: registry, Tracer: tracer, BodyLimit: door.BodyLimit, TrustedProxies: proxies, Streams: door.Streams, Internal: door.Internal,
		})
		door.Routes(app)
		parts = append(parts, lifecycle.Part{Name: door.Name, Component: &Server{Listener: listener, App: app}})
	}
	return parts, nil
}
