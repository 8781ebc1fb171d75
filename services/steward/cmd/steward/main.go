// Command steward performs the maintenance tasks of a release inside its cluster. Run it without arguments for help.
package main

import (
	"os"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/services/steward/internal/command"
)

func main() {
	c := command.Command{Env: env.New(os.LookupEnv), Args: os.Args[1:], Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(c.Run())
}
