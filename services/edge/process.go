package edge

import (
	"context"
	"time"

	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/webapi"
)

// Build makes the parts of a process of its own: the service and its listener.
func Build(ctx context.Context, p *process.Process) ([]lifecycle.Part, error) {
	config := ConfigFrom(p.Env)
	redisURL := stream.URLFrom(p.Env)
	public := webapi.PublicFrom(p.Env, "edge", 0)
	proxies := webapi.TrustedProxiesFrom(p.Env)
	if err := p.Env.Err(); err != nil {
		return nil, err
	}
	client, err := stream.Open(redisURL)
	if err != nil {
		return nil, err
	}
	service, err := New(config, Deps{Log: p.Log, Registry: p.Registry, Tracer: p.Tracer, Now: time.Now, Redis: client})
	if err != nil {
		return nil, err
	}
	public.Routes = service.Routes
	parts := append([]lifecycle.Part{{Name: "redis watch", Component: stream.NewWatch(client, p.Registry, p.Log, p.WarnOf("redis"))}}, service.Parts()...)
	doors, err := webapi.Open(ctx, p.Log, p.Registry, p.Tracer, proxies, public)
	return append(append(parts, doors...), service.Drain()), err
}
