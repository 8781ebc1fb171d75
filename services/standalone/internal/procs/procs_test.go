//go:build linux

package procs

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestStatIsReadPastAnOddName(t *testing.T) {
	line := "42 (a) b (c) S 7 42 42 0 -1 4194560 100 0 0 0 150 50 30 20 20 0 9 0 12345 1000000 256 18446744073709551615 1 1\n"
	s, err := parseStat(42, []byte(line))
	want := stat{pid: 42, parent: 7, threads: 9, resident: 256 * int64(os.Getpagesize()), ticks: 200, collected: 50}
	if err != nil || s != want {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"", "42 (a", "42 (a) S 1 2", strings.Replace(line, " 7 ", " x ", 1)} {
		if s, err := parseStat(42, []byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, s)
		}
	}
}

func TestWhatTheMachineDid(t *testing.T) {
	busy, stolen, err := parseMachine([]byte("cpu  100 20 30 4000 500 6 7 80 0 0\ncpu0 1 2 3"))
	if err != nil || busy != 1630*time.Millisecond || stolen != 800*time.Millisecond {
		t.Error(busy, stolen, err)
	}
	for _, bad := range []string{"", "cpu 1 2", "intr 1 2 3 4 5 6 7 8", "cpu 1 2 3 4 5 6 x 8"} {
		if _, _, err := parseMachine([]byte(bad)); err == nil {
			t.Errorf("%q", bad)
		}
	}
	if busy, _, err := Machine(); err != nil || busy == 0 {
		t.Error(busy, err)
	}
}

func TestOwnUsageGrows(t *testing.T) {
	before, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	pipe, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = pipe.Close(), other.Close() }()
	memory := make([]byte, 32<<20)
	for began := time.Now(); time.Since(began) < 30*time.Millisecond; {
		for i := 0; i < len(memory); i += 4096 {
			memory[i]++
		}
	}
	after, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if used := after.CPU - before.CPU; used < 5*time.Millisecond || used > 5*time.Second {
		t.Error("CPU", used)
	}
	if after.Descriptors < before.Descriptors+2 || after.Resident < before.Resident+30<<20 || after.Threads < 1 {
		t.Errorf("%+v after %+v", after, before)
	}
}

func TestATreeCountsItsChildren(t *testing.T) {
	// The shell stays, its child burns; a child that has ended counts too.
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `sh -c 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done'; echo; sh -c 'read x'; true`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err = out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	var tree, alone Usage
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) { // until the second child runs: one that is just forked has no memory of its own yet
		if tree, err = Tree(cmd.Process.Pid); err != nil {
			t.Fatal(err)
		}
		if alone, err = Of(cmd.Process.Pid); err != nil {
			t.Fatal(err)
		}
		if tree.Threads > alone.Threads && tree.Resident > alone.Resident {
			break
		}
	}
	if tree.Threads != 2 || tree.Resident <= alone.Resident || alone.CPU < tick {
		t.Errorf("tree %+v, its root %+v", tree, alone)
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := Tree(cmd.Process.Pid); !errors.Is(err, fs.ErrNotExist) {
		t.Error("an ended process:", err)
	}
}
