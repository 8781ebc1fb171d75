package localcluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestTheMarkOfADeadServerIsForgotten(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("looks into /proc")
	}
	dead := exec.CommandContext(t.Context(), "/bin/true")
	if err := dead.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dead.Wait() }() // until then its remains are there
	eventually(t, "dead, and not collected", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", dead.Process.Pid))
		return err == nil && strings.Contains(string(status), "State:\tZ")
	})
	p := Postgres{Folder: t.TempDir()}
	mark := filepath.Join(p.Folder, "postmaster.pid")
	for pid, kept := range map[int]bool{dead.Process.Pid: false, os.Getpid(): true} {
		if err := os.WriteFile(mark, fmt.Appendf(nil, "%d\n/data\n", pid), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := p.forgetDead(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(mark); (err == nil) != kept {
			t.Errorf("process %d: %v", pid, err)
		}
	}
}
