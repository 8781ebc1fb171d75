// Command rooms is the rooms service. Its subcommand renewlogs is to be run after a restore from a backup.
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
	reader, defaults := env.New(os.LookupEnv), process.Defaults{Name: "rooms", AdminListen: ":9090", LogFormat: "json"}
	if status, done := process.Main(os.Args[1:], reader, os.Stdout, os.Stderr, defaults, rooms.Build); done {
		os.Exit(status)
	}
	if err := command(reader, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command(reader *env.Reader, name string) error {
	if name != "renewlogs" && name != "newlogs" { // the latter was its name in 0.1
		return fmt.Errorf("rooms %s: no such command; `rooms` serves, `rooms health` asks whether it does, `rooms renewlogs` renews the names of all logs", name)
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
