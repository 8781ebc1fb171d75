// Command dashboards writes Parley's Grafana dashboards to a folder, one JSON file each. They are described in Go, because
// two panels differ in a few words of sixty lines of JSON. A test checks that the committed files are up to date.
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
			err = os.WriteFile(filepath.Join(args[0], d.File()), content, 0o644) //nolint:gosec // world-readable, like the rest of the chart
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// All returns the dashboards, in reading order.
func All() []Dashboard {
	return []Dashboard{overview(), edge(), path(), dependencies(), rollout(), abuse()}
}
