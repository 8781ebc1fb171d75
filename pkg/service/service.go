// Package service runs one service of Parley as a process of its own: it reads the listeners' configuration, connects
// to Redis, and puts the service's parts and its listeners in the order in which they start.
package service

import (
	"context"

	"github.com/gofiber/fiber/v2"
	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/webapi"
)

// Service is a service of Parley.
type Service interface {
	// Parts are the service's components, in the order in which they start; listeners come after them.
	Parts() []lifecycle.Part
	// Routes mounts the public API.
	Routes(r fiber.Router)
}

// Internal is a Service that other services call.
type Internal interface {
	// InternalRoutes mounts what they call, on a listener of its own.
	InternalRoutes(r fiber.Router)
}

// Drainer is a Service with clients that must be sent elsewhere before its listeners close.
type Drainer interface {
	// Drain is started after the listeners, and so stopped before them.
	Drain() lifecycle.Part
}

// Options are what differs between the services.
type Options struct {
	Name          string // of the public listener and its metrics
	BodyBytes     int    // of a request on the public listener at most; 0 is the default of webapi.Options
	InternalBytes int    // the same on the internal listener; 0 is no internal listener
}

// Build makes the parts of a process that runs one service. What the service itself reads from p.Env has been read
// before. open makes the service with the Redis client, which is closed when the process ends.
func Build(ctx context.Context, p *process.Process, o Options, open func(redis.UniversalClient) (Service, error)) ([]lifecycle.Part, error) {
	url := stream.URLFrom(p.Env)
	listeners := []webapi.Listener{webapi.PublicFrom(p.Env, o.Name, o.BodyBytes)}
	if o.InternalBytes > 0 {
		listeners = append(listeners, webapi.InternalFrom(p.Env, o.Name, o.InternalBytes))
	}
	proxies := webapi.TrustedProxiesFrom(p.Env)
	if err := p.Env.Err(); err != nil {
		return nil, err
	}
	client, err := stream.Open(url)
	if err != nil {
		return nil, err
	}
	s, err := open(client)
	if err != nil {
		return nil, err
	}
	listeners[0].Routes = s.Routes
	if internal, ok := s.(Internal); ok && len(listeners) > 1 {
		listeners[1].Routes = internal.InternalRoutes
	}
	parts := append([]lifecycle.Part{{Name: "redis watch", Component: stream.NewWatch(client, p.Registry, p.Log, p.WarnOf("redis"))}}, s.Parts()...)
	opened, err := webapi.Open(ctx, p.Log, p.Registry, p.Tracer, proxies, listeners...)
	if err != nil {
		return nil, err
	}
	parts = append(parts, opened...)
	if drainer, ok := s.(Drainer); ok {
		parts = append(parts, drainer.Drain())
	}
	return parts, nil
}
