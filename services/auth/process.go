package auth

import (
	"context"
	"time"

	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/webapi"
)

// bodyLimit of a request, in bytes: names and passwords.
const bodyLimit = 16 << 10

// Build makes the parts of a process of its own: the service, and its public and internal listeners.
func Build(ctx context.Context, p *process.Process) ([]lifecycle.Part, error) {
	config := ConfigFrom(p.Env)
	redisURL := stream.URLFrom(p.Env)
	public, internal := webapi.PublicFrom(p.Env, "auth", bodyLimit), webapi.InternalFrom(p.Env, "auth", bodyLimit)
	proxies := webapi.TrustedProxiesFrom(p.Env)
	if err := p.Env.Err(); err != nil {
		return nil, err
	}
	client, err := stream.Open(redisURL)
	if err != nil {
		return nil, err
	}
	service, err := New(ctx, config, Deps{Log: p.Log, Registry: p.Registry, Readiness: p.Readiness, Tracer: p.Tracer, Now: time.Now, Redis: client})
	if err != nil {
		return nil, err
	}
	public.Routes, internal.Routes = service.Routes, service.InternalRoutes
	parts := append([]lifecycle.Part{{Name: "redis watch", Component: stream.NewWatch(client, p.Registry, p.Log, p.WarnOf("redis"))}}, service.Parts()...)
	doors, err := webapi.Open(ctx, p.Log, p.Registry, p.Tracer, proxies, public, internal)
	return append(parts, doors...), err
}
