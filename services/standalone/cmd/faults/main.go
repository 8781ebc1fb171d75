// Command faults shows whether anything acked is ever lost, while everything that can fail does.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/services/standalone/internal/faults"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // who asks twice is not kept waiting
	program, err := os.Executable()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	command := faults.Command{Args: os.Args[1:], Program: program, Env: env.New(os.LookupEnv), Out: os.Stdout, ErrOut: os.Stderr}
	status := command.Run(ctx)
	stop()
	os.Exit(status)
}
