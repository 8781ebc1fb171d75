// Command cluster runs Parley on this machine as separate processes on real servers.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/services/standalone/internal/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	program, err := os.Executable()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	command := cluster.Command{
		Args: os.Args[1:], Program: program, Env: env.New(os.LookupEnv), Environ: os.Environ(), Out: os.Stdout, ErrOut: os.Stderr,
	}
	status := command.Run(ctx)
	stop()
	os.Exit(status)
}
