// Command rooms is the rooms service.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/services/rooms"
)

func main() {
	reader := env.New(os.LookupEnv)
	if len(os.Args) > 1 && os.Args[1] == "newlogs" {
		os.Exit(newLogs(reader))
	}
	os.Exit(process.Run(reader, os.Stderr, process.Defaults{AdminListen: ":9090", LogFormat: "json"}, rooms.Build))
}

// newLogs is to be run after a restore from a backup.
func newLogs(reader *env.Reader) int {
	database := rooms.DatabaseFrom(reader)
	err := reader.Err()
	if err == nil {
		var count int
		if count, err = rooms.NewLogs(context.Background(), database); err == nil {
			fmt.Printf("renewed the logs of %d rooms and the lobby's\n", count)
			return 0
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}
