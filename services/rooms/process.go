package rooms

import (
	"context"
	"time"

	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/webapi"
)

// Sizes of a request's body, in bytes. A message of the largest size may be six times as long in JSON.
const (
	publicBody   = 128 << 10
	internalBody = 8 << 20
)

// Build makes the parts of a process of its own: the service, and its public and internal listeners.
func Build(ctx context.Context, p *process.Process) ([]lifecycle.Part, error) {
	config := ConfigFrom(p.Env)
	redisURL := stream.URLFrom(p.Env)
	public := p.Env.String("PARLEY_LISTEN", ":8080", "Where the public API is served.")
	internal := p.Env.String("PARLEY_INTERNAL_LISTEN", ":8081", "Where other services call. No Ingress may route to it.")
	proxies := webapi.TrustedProxiesFrom(p.Env)
	if err := p.Env.Err(); err != nil {
		return nil, err
	}
	client, err := stream.Open(redisURL)
	if err != nil {
		return nil, err
	}
	service, err := New(ctx, config, Deps{Log: p.Log, Registry: p.Registry, Now: time.Now, Redis: client})
	if err != nil {
		return nil, err
	}
	parts := service.Parts()
	for _, l := range []struct {
		name, variable, address string
		body                    int
		mount                   func(*webapi.Server)
	}{
		{"rooms", "PARLEY_LISTEN", public, publicBody, func(s *webapi.Server) { service.Routes(s.App) }},
		{"rooms_internal", "PARLEY_INTERNAL_LISTEN", internal, internalBody, func(s *webapi.Server) { service.InternalRoutes(s.App) }}, //nolint:contextcheck // requests bring their own
	} {
		listener, err := webapi.Listen(ctx, l.variable, l.address)
		if err != nil {
			return nil, err
		}
		server := &webapi.Server{Listener: listener, App: webapi.New(webapi.Options{ //nolint:contextcheck // requests bring their own
			Service: l.name, Log: p.Log, Registry: p.Registry, BodyLimit: l.body, TrustedProxies: proxies,
		})}
		l.mount(server)
		parts = append(parts, lifecycle.Part{Name: l.name, Component: server})
	}
	return parts, nil
}
