//go:build linux

// Command bench measures what Parley does on this machine, beside the least that a server can cost.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/parley-chat/parley/services/standalone/internal/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	program, err := os.Executable()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	command := bench.Command{Args: os.Args[1:], Program: program, Out: os.Stdout, ErrOut: os.Stderr}
	status := command.Run(ctx)
	stop()
	os.Exit(status)
}
