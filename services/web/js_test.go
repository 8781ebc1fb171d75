package web

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// The JavaScript client has tests of its own, in jstest, against a fake socket and a clock that the
// tests move. They need nothing but Node.
func TestTheJavaScriptClient(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("the JavaScript client's tests need Node 18 or later (Debian: apt-get install nodejs): ", err)
	}
	files, err := filepath.Glob("jstest/*.test.js")
	if err != nil || len(files) == 0 {
		t.Fatal("no tests were found: ", err)
	}
	command := exec.CommandContext(t.Context(), node, append([]string{"--test"}, files...)...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
