package main

import (
	"os"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/test/localcluster"
)

type clusterCommands struct {
	Run         runCluster  `cmd:"" help:"PostgreSQL, Redis, 1 auth, 2 rooms, 3 edges, web and a proxy, until Ctrl-C."`
	WithServers withServers `cmd:"" help:"Runs a command while a PostgreSQL and a Redis of its own run."`
}

type runCluster struct{}

// Run implements kong's command.
func (runCluster) Run(p *program) error {
	launcher := localcluster.Launcher{Bin: p.bin(), Env: env.New(os.LookupEnv), Environ: os.Environ(), Out: p.out, ErrOut: p.errOut}
	return launcher.Run(p)
}

type withServers struct {
	Command []string `arg:"" help:"The command, behind --."`
}

// Run implements kong's command.
func (c withServers) Run(p *program) (err error) {
	p.status, err = localcluster.WithServers(p, c.Command, os.Environ(), p.out, p.errOut)
	return err
}
