// Command web serves the web page and its JavaScript client.
package main

import (
	"context"
	"os"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/web"
)

func main() {
	if process.Version(os.Args, os.Stdout) {
		return
	}
	defaults := process.Defaults{Name: "web", AdminListen: ":9090", LogFormat: "json"}
	os.Exit(process.Run(env.New(os.LookupEnv), os.Stderr, defaults, build))
}

func build(ctx context.Context, p *process.Process) ([]lifecycle.Part, error) {
	door := webapi.PublicFrom(p.Env, "web", 0)
	if err := p.Env.Err(); err != nil {
		return nil, err
	}
	service, err := web.New()
	if err != nil {
		return nil, err
	}
	door.Routes = service.Routes
	return webapi.Open(ctx, p.Log, p.Registry, p.Tracer, nil, door)
}
