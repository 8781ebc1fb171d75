//go:build linux

// Command attacks shows that a stranger cannot end the service while people talk on it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/parley-chat/parley/services/standalone/internal/attacks"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	program, err := os.Executable()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	command := attacks.Command{Args: os.Args[1:], Program: program, Out: os.Stdout, ErrOut: os.Stderr}
	status := command.Run(ctx)
	stop()
	os.Exit(status)
}
