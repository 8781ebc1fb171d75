package databasetest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTimeout bounds how long a pooler may take until it answers.
const startTimeout = 30 * time.Second

// PgBouncer starts one before the server of where for the time of the test, and returns the URL through it.
func PgBouncer(t *testing.T, where *url.URL, mode string, sessions int) *url.URL {
	t.Helper()
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			t.Fatal("PgBouncer is not installed: there is no pgbouncer on PATH (Debian: apt-get install pgbouncer)")
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	through := *where
	through.Host = listener.Addr().String()
	_ = listener.Close()
	password, _ := where.User.Password()
	settings := fmt.Sprintf(`[databases]
* = host=%s port=%s user=%s password=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = %s
default_pool_size = %d
ignore_startup_parameters = options,search_path
`, where.Hostname(), where.Port(), where.User.Username(), password, through.Port(), mode, sessions)
	folder, err := os.MkdirTemp("", "parley-pgbouncer-") //nolint:usetesting // another user than ours is to read it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	file := filepath.Join(folder, "pgbouncer.ini")
	if err = os.Chmod(folder, 0o755); err == nil { //nolint:gosec // the password is that of a test
		err = os.WriteFile(file, []byte(settings), 0o644) //nolint:gosec // likewise
	}
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-q", file}
	if os.Getuid() == 0 { // which it refuses to run as
		args = append([]string{"-u", "nobody"}, args...)
	}
	process := exec.CommandContext(context.WithoutCancel(t.Context()), path, args...) //nolint:gosec // what LookPath found
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { defer close(exited); _ = process.Wait() }()
	t.Cleanup(func() { _ = process.Process.Kill(); <-exited })
	waitAnswering(t, &through, exited)
	return &through
}

// waitAnswering waits until the pooler answers.
func waitAnswering(t *testing.T, through *url.URL, exited <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		conn, err := pgx.Connect(ctx, through.String())
		if err == nil {
			_ = conn.Close(ctx)
			return
		}
		select {
		case <-pause.C:
		case <-exited:
			t.Fatal("pgbouncer has exited: ", err)
		case <-ctx.Done():
			t.Fatal("pgbouncer does not answer within "+strconv.Itoa(int(startTimeout.Seconds()))+" s: ", err)
		}
	}
}
