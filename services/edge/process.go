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
	public := p.Env.String("PARLEY_LISTEN", ":8080", "Where the public API is served.")
	proxies := webapi.TrustedProxiesFrom(p.Env)
	if err := p.Env.Err(); err != nil {
		return nil, err
	}
	client, err := stream.Open(redisURL)
	if err != nil {
		return nil, err
	}
	service, err := New(config, Deps{Log: p.Log, Registry: p.Registry, Now: time.Now, Redis: client})
	if err != nil {
		return nil, err
	}
	listener, err := webapi.Listen(ctx, "PARLEY_LISTEN", public)
	if err != nil {
		return nil, err
	}
	app := webapi.New( //nolint:contextcheck // each request has a context of its own
		webapi.Options{Service: "edge", Log: p.Log, Registry: p.Registry, TrustedProxies: proxies, Streams: true})
	service.Routes(app)
	parts := append(service.Parts(), lifecycle.Part{Name: "edge", Component: &webapi.Server{Listener: listener, App: app}})
	return append(parts, service.Drain()), nil
}
