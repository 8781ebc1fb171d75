// Command web serves the web page and its JavaScript client.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/web"
)

func main() {
	defaults := process.Defaults{Name: "web", AdminListen: ":9090", LogFormat: "json"}
	status, done := process.Main(os.Args[1:], env.New(os.LookupEnv), os.Stdout, os.Stderr, defaults, build)
	if !done {
		fmt.Fprintln(os.Stderr, "usage:\n  web          serve the web page\n  web health   check that the running service is ready\n  web version  print the version")
		status = 2
	}
	os.Exit(status)
}

func build(ctx context.Context, p *process.Process) ([]lifecycle.Part, error) {
	listener := webapi.PublicFrom(p.Env, "web", 0)
	if err := p.Env.Err(); err != nil {
		return nil, err
	}
	service, err := web.New()
	if err != nil {
		return nil, err
	}
	listener.Routes = service.Routes
	return webapi.Open(ctx, p.Log, p.Registry, p.Tracer, nil, listener)
}
