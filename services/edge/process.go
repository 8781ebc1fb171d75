package edge

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/pkg/service"
)

// Build makes the parts of a process of its own: the service and its listener.
func Build(ctx context.Context, p *process.Process) ([]lifecycle.Part, error) {
	config := ConfigFrom(p.Env)
	return service.Build(ctx, p, service.Options{Name: "edge"}, func(client redis.UniversalClient) (service.Service, error) {
		return New(config, Deps{Log: p.Log, Registry: p.Registry, Tracer: p.Tracer, Now: time.Now, Redis: client})
	})
}
