package process

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/parley-chat/parley/pkg/env"
)

// healthTimeout bounds the readiness request.
const healthTimeout = 2 * time.Second

// Main runs the subcommand in args, the program's arguments without its name. Without arguments it serves, as
// Run does. `version` prints the build. `health` asks the service on this machine, or in this container, whether
// it is ready: container engines run it as a health check, because the image has no other program. For other
// arguments done is false, and the caller handles them.
func Main(args []string, reader *env.Reader, out, errors io.Writer, defaults Defaults, build Build) (status int, done bool) {
	switch {
	case len(args) == 0:
		return Run(reader, errors, defaults, build), true
	case Version(args, out):
		return 0, true
	case len(args) > 1 || args[0] != "health":
		return 0, false
	}
	listen, _ := Admin(reader, defaults.AdminListen)
	if err := health(listen); err != nil {
		_, _ = fmt.Fprintln(errors, err)
		return 1, true
	}
	return 0, true
}

func health(listen string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("PARLEY_ADMIN_LISTEN: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("PARLEY_ADMIN_LISTEN: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("the service is not running: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", request.URL, response.Status)
	}
	return nil
}
