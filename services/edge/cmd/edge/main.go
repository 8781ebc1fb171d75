// Command edge is the edge service.
package main

import (
	"os"
	"runtime/debug"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/services/edge"
)

// gcPercent is how much garbage, in percent of what lives, an edge lets gather before it collects. What lives
// in it is idle sockets: Go's 100 would have each cost half as much again. GOGC overrules it.
const gcPercent = 40

func main() {
	if process.Version(os.Args, os.Stdout) {
		return
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(process.Run(env.New(os.LookupEnv), os.Stderr, process.Defaults{Name: "edge", AdminListen: ":9090", LogFormat: "json"}, edge.Build))
}
