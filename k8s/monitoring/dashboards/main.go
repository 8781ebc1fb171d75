// Command dashboards writes Parley's Grafana dashboards into the folder that it is given, one JSON file
// for each. They are described here in Go, since what differs between two panels is a few words of
// sixty lines of JSON. A test holds the files against what this program writes.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := write(os.Args[1:]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func write(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: dashboards FOLDER")
	}
	for _, d := range All() {
		content, err := d.Render()
		if err == nil {
			err = os.WriteFile(filepath.Join(args[0], d.File()), content, 0o644) //nolint:gosec // to be read by all
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// All are the dashboards, in the order in which one looks at them.
func All() []Dashboard {
	return []Dashboard{overview(), edge(), path(), dependencies(), rollout(), abuse()}
}
