package rooms

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/pkg/service"
)

// Sizes of a request's body, in bytes. A message of the largest size may be six times as long in JSON.
const (
	publicBody   = 128 << 10
	internalBody = 8 << 20
)

// Build makes the parts of a process of its own: the service, and its public and internal listeners.
func Build(ctx context.Context, p *process.Process) ([]lifecycle.Part, error) {
	config := ConfigFrom(p.Env)
	return service.Build(ctx, p, service.Options{Name: "rooms", BodyBytes: publicBody, InternalBytes: internalBody}, func(client redis.UniversalClient) (service.Service, error) {
		return New(ctx, config, Deps{Log: p.Log, Registry: p.Registry, Readiness: p.Readiness, Tracer: p.Tracer, Now: time.Now, Redis: client})
	})
}
