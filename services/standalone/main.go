// Command standalone is all of Parley in one process on one port, on embedded stores: to try it, and
// for small teams.
package main

import (
	"fmt"
	"os"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/process"
)

func main() {
	if process.Version(os.Args[1:], os.Stdout) {
		return
	}
	s := &standalone{out: os.Stdout, credential: newCredential()}
	reader := env.New(s.lookup(os.LookupEnv))
	if len(os.Args) == 1 {
		os.Exit(process.Run(reader, os.Stderr, process.Defaults{Name: "standalone", AdminListen: "127.0.0.1:0", LogFormat: "text"}, s.build))
	}
	if err := s.command(reader, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
