// Package service runs one service of Parley as a process of its own: it reads the listeners' configuration, connects
// to Redis, and puts the service's parts and its listeners in starting order.
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
	// Parts are the service's components in starting order. The listeners start after them.
	Parts() []lifecycle.Part
	// Routes mounts the public API.
	Routes(r fiber.Router)
}

// Internal is a Service with an internal API, which other services call.
type Internal interface {
	// InternalRoutes mounts the internal API, which has a listener of its own.
	InternalRoutes(r fiber.Router)
}

// Drainer is a Service whose clients must move to another pod before its listeners close.
type Drainer interface {
	// Drain returns a part that starts after the listeners, so it stops before them.
	Drain() lifecycle.Part
}

// Options are the settings that differ between the services.
type Options struct {
	Name          string // of the public listener and its metrics
	BodyBytes     int    // the longest request body on the public listener; 0 is the default of webapi.Options
	InternalBytes int    // the longest request body on the internal listener; 0 means no internal listener
}

// Build makes the parts of a process that runs one service. The caller has already read the service's own variables
// from p.Env. Build calls open to make the service with a Redis client, and closes the client when the process ends.
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
	parts := append([]lifecycle.Part{{Name: "redis watch", Component: stream.NewWatch(client, p.Registry, p.Log, p.WarnFunc("redis"))}}, s.Parts()...)
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
