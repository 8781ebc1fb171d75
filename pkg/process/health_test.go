package process_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/process"
)

func TestHealth(t *testing.T) {
	ready := true
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || !ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer admin.Close()
	address := strings.TrimPrefix(admin.URL, "http://")
	_, port, _ := strings.Cut(address, ":")
	ask := func(listen string, args ...string) (status int, said string, done bool) {
		var errors strings.Builder
		reader := env.New(func(name string) (string, bool) { return listen, name == "PARLEY_ADMIN_LISTEN" })
		status, done = process.Main(args, reader, io.Discard, &errors, process.Defaults{AdminListen: ":1"}, nil)
		return status, errors.String(), done
	}
	for _, listen := range []string{address, ":" + port, "0.0.0.0:" + port, "[::]:" + port} {
		if status, said, done := ask(listen, "health"); status != 0 || !done {
			t.Errorf("ready on %s: %d, %q, %v", listen, status, said, done)
		}
	}
	ready = false
	if status, said, _ := ask(address, "health"); status != 1 || !strings.Contains(said, "503") {
		t.Errorf("unready: %d, %q", status, said)
	}
	admin.Close()
	if status, said, _ := ask("", "health"); status != 1 || !strings.Contains(said, "is not running") {
		t.Errorf("not there: %d, %q", status, said)
	}
	for _, args := range [][]string{{"renewlogs"}, {"health", "now"}} {
		if _, _, done := ask(address, args...); done {
			t.Errorf("%v is done", args)
		}
	}
}
