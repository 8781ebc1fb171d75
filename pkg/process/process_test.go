package process

import (
	"bytes"
	"strings"
	"testing"
)

func TestVersionIsAskedForAlone(t *testing.T) {
	for args, want := range map[string]bool{"version": true, "-version": true, "--version": true, "": false, "renewlogs": false, "version x": false} {
		var out bytes.Buffer
		if got := Version(strings.Fields(args), &out); got != want || got != strings.HasPrefix(out.String(), "parley ") {
			t.Errorf("%q: %v, %q", args, got, out.String())
		}
	}
}
