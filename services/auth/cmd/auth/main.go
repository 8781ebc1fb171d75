// Command auth is the auth service. Its subcommands createsuperuser and rotatekeys work beside a
// service that may be running; renewlogs is to be run after a restore from a backup.
package main

import (
	"fmt"
	"os"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/services/auth"
	"github.com/parley-chat/parley/services/auth/internal/command"
)

func main() {
	reader, defaults := env.New(os.LookupEnv), process.Defaults{Name: "auth", AdminListen: ":9090", LogFormat: "json"}
	if status, done := process.Main(os.Args[1:], reader, os.Stdout, os.Stderr, defaults, auth.Build); done {
		os.Exit(status)
	}
	if err := command.Run(reader, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
