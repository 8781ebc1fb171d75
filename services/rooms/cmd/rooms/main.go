// Command rooms is the rooms service. Its subcommand newlogs is to be run after a restore from a backup.
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
	if process.Version(os.Args, os.Stdout) {
		return
	}
	reader := env.New(os.LookupEnv)
	if len(os.Args) == 1 {
		os.Exit(process.Run(reader, os.Stderr, process.Defaults{Name: "rooms", AdminListen: ":9090", LogFormat: "json"}, rooms.Build))
	}
	if err := command(reader, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command(reader *env.Reader, name string) error {
	if name != "newlogs" {
		return fmt.Errorf("rooms %s: no such command; `rooms` serves, `rooms newlogs` renews the names of all logs", name)
	}
	database := rooms.DatabaseFrom(reader)
	if err := reader.Err(); err != nil {
		return err
	}
	count, err := rooms.NewLogs(context.Background(), database)
	if err == nil {
		fmt.Printf("renewed the names of the logs of %d rooms and of the lobby\n", count)
	}
	return err
}
