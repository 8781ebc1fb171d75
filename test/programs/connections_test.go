package programs_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parley-chat/parley/test/servertest"
)

// journal is the log of a program that runs.
type journal struct {
	mu  sync.Mutex
	log bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.log.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.log.String()
}

// found waits until the pattern is in the log and returns its group.
func (j *journal) found(t *testing.T, pattern string) string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-ticker.C {
		if match := expression.FindStringSubmatch(j.String()); match != nil {
			return match[1]
		}
	}
	t.Fatalf("%s is not in the log:\n%s", pattern, j)
	return ""
}

// fewFiles starts the program with 256 file descriptors and returns where it and its admin listener are.
func fewFiles(t *testing.T) (public, admin string) {
	t.Helper()
	var out journal
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "sh", "-c", `ulimit -n 256; exec "$0"`, filepath.Join(servertest.BuiltPrograms(t), "standalone"))
	cmd.Env = append(os.Environ(), "PARLEY_LISTEN=127.0.0.1:0", "PARLEY_DATA="+t.TempDir())
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the program ended with %v:\n%s", err, &out)
		}
	})
	return out.found(t, `Parley runs on http://(\S+)`), out.found(t, `msg=ready admin=(\S+)`)
}

// asked is the status of a GET and its answer.
func asked(t *testing.T, url string) (int, string) {
	t.Helper()
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	response, err := fresh.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	content, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(content)
}

// More connections than the process has descriptors for neither end it nor take its probes away.
func TestTooManyConnectionsAreRefusedAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	public, admin := fewFiles(t)
	var idle []net.Conn
	for i := range 300 {
		// Several client addresses: one alone does not fill the server.
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i%4))}}
		conn, err := dialer.DialContext(t.Context(), "tcp", public)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		idle = append(idle, conn)
	}
	status, body := asked(t, "http://"+public+"/api/rooms")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, `"code":"unavailable"`) {
		t.Errorf("the full server answers %d %s", status, body)
	}
	if probe, why := asked(t, "http://"+admin+"/readyz"); probe != http.StatusOK {
		t.Errorf("the probe is answered %d %s", probe, why)
	}
	_, metrics := asked(t, "http://"+admin+"/metrics")
	var refused int
	for line := range strings.Lines(metrics) {
		_, _ = fmt.Sscanf(line, `parley_standalone_tcp_connections_refused_total{reason="full"} %d`, &refused)
	}
	if refused < 200 {
		t.Errorf("%d refusals are counted", refused)
	}
	for _, conn := range idle {
		_ = conn.Close()
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(30 * time.Second); status != http.StatusOK && time.Now().Before(deadline); <-ticker.C {
		status, body = asked(t, "http://"+public+"/api/rooms")
	}
	if status != http.StatusOK {
		t.Errorf("with room again the server answers %d %s", status, body)
	}
}
