// Command standalone is all of Parley in one process on one port, on embedded stores: to try it, and
// for small teams.
package main

import (
	"fmt"
	"os"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/services/standalone"
)

func main() {
	if process.Version(os.Args[1:], os.Stdout) {
		return
	}
	s := standalone.New(os.Stdout)
	reader := env.New(s.Lookup(os.LookupEnv))
	if len(os.Args) == 1 {
		os.Exit(process.Run(reader, os.Stderr, standalone.Defaults(), s.Build))
	}
	if err := s.Command(reader, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
