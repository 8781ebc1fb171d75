// Command dashboards writes Parley's Grafana dashboards into the folder that it is given, one JSON file
// for each. They are described here in Go, since what differs between two panels is a few words of
// sixty lines of JSON. A test holds the files against what this program writes.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fail("usage: dashboards FOLDER")
	}
	for _, d := range All() {
		content, err := d.Render()
		if err != nil {
			fail(err)
		}
		if err := os.WriteFile(filepath.Join(os.Args[1], d.File()), content, 0o644); err != nil { //nolint:gosec // to be read by all
			fail(err)
		}
	}
}

func fail(why any) {
	_, _ = fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}

// All are the dashboards, in the order in which one looks at them.
func All() []Dashboard {
	return []Dashboard{overview(), edge(), path(), dependencies(), rollout(), abuse()}
}
