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

// healthTimeout is how long a service may take to say that it is ready.
const healthTimeout = 2 * time.Second

// Main does what a service does for args, the program's arguments without its name: without any it
// serves, as Run does. `version` prints what it was made of. `health` asks the service that runs on this machine, or in this container, whether
// it is ready: for container engines that learn how a container is by running a command in it, where it
// holds no other. Everything else is for the caller to do; done is then false.
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
		return fmt.Errorf("it does not run: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", request.URL, response.Status)
	}
	return nil
}
