// Command edge is the edge service.
package main

import (
	"os"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/services/edge"
)

func main() {
	os.Exit(process.Run(env.New(os.LookupEnv), os.Stderr, process.Defaults{AdminListen: ":9090", LogFormat: "json"}, edge.Build))
}
