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
		mount                   func(*webapi.Server)
	}{
		{"auth", "PARLEY_LISTEN", public, func(s *webapi.Server) { service.Routes(s.App) }},                             //nolint:contextcheck // handlers have their request's context
		{"auth_internal", "PARLEY_INTERNAL_LISTEN", internal, func(s *webapi.Server) { service.InternalRoutes(s.App) }}, //nolint:contextcheck // the same
	} {
		listener, err := webapi.Listen(ctx, l.variable, l.address)
		if err != nil {
			return nil, err
		}
		server := &webapi.Server{Listener: listener, App: webapi.New(webapi.Options{ //nolint:contextcheck // the same
			Service: l.name, Log: p.Log, Registry: p.Registry, BodyLimit: bodyLimit, TrustedProxies: proxies,
		})}
		l.mount(server)
		parts = append(parts, lifecycle.Part{Name: l.name, Component: server})
	}
	return parts, nil
}
