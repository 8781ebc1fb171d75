// Command edge is the edge service.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/services/edge"
)

// gcPercent is how much garbage, in percent of what lives, an edge lets gather before it collects. What lives
// in it is idle sockets: Go's 100 would have each cost half as much again. GOGC overrules it.
const gcPercent = 35

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	defaults := process.Defaults{Name: "edge", AdminListen: ":9090", LogFormat: "json"}
	status, done := process.Main(os.Args[1:], env.New(os.LookupEnv), os.Stdout, os.Stderr, defaults, edge.Build)
	if !done {
		fmt.Fprintln(os.Stderr, "usage:\n  edge         serve\n  edge health  is the one that runs here ready?")
		status = 2
	}
	os.Exit(status)
}
