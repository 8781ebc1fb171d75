//go:build linux

// Command soak shows whether anything grows that should not, over an hour of people coming and going.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/parley-chat/parley/services/standalone/internal/soak"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	program, err := os.Executable()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	command := soak.Command{Args: os.Args[1:], Program: program, Out: os.Stdout, ErrOut: os.Stderr}
	status := command.Run(ctx)
	stop()
	os.Exit(status)
}
