package programs_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-chat/parley/test/servertest"
)

var passwordShown = regexp.MustCompile(`administrator is (\S+), password (\S+)\n`)

// The program itself: what `make run` does, with a browser's connections open, until Ctrl-C.
func TestTheProgramRunsUntilCtrlC(t *testing.T) {
	t.Parallel()
	program := filepath.Join(servertest.BuiltPrograms(t), "standalone")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = []string{"PARLEY_LISTEN=127.0.0.1:0", "PARLEY_DATA=" + t.TempDir()}
	var log bytes.Buffer
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	var said, url string
	for lines.Scan() && !strings.Contains(lines.Text(), "Ctrl-C") {
		said += lines.Text() + "\n"
		if _, at, found := strings.Cut(lines.Text(), "runs on "); found {
			url = at
		}
	}
	shown := passwordShown.FindStringSubmatch(said)
	if url == "" || shown == nil {
		t.Fatalf("it said %q; its log: %s", said, log.String())
	}
	s := servertest.At(t, url)
	admin, err := s.API.Login(ctx, shown[1], shown[2])
	if err != nil {
		t.Fatal(err)
	}
	socket := servertest.SignedIn(t, s, admin.AccessToken)
	socket.Write(`{"type":"join","id":1,"room":"general"}`)
	socket.Answer(1)

	stopped := time.Now()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := socket.ClosedWith(); got != 1012 {
		t.Errorf("an open socket is closed with %v, want 1012", got)
	}
	rest, _ := io.ReadAll(stdout)
	if err := cmd.Wait(); err != nil {
		t.Errorf("exit: %v; %s", err, log.String())
	}
	if took := time.Since(stopped); took > servertest.LateAtLast {
		t.Errorf("it took %s to stop; it said %q; %s", took, rest, log.String())
	}
}
