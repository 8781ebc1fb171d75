package check

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/parley-chat/parley/pkg/chat"
)

const maxReadiness = 4096

// ready asks every pod that uses Redis for its readiness. People can talk without Redis, only slower, and pods stay ready
// without it: a warning beside the answer is all there is to be seen of a Redis that refuses the password.
func (c *checker) ready(ctx context.Context) (string, error) {
	if len(c.Admin) == 0 {
		return "not asked for", nil
	}
	asked := 0
	err := patiently(ctx, func() error {
		asked = 0
		for _, name := range c.Admin {
			pods, err := addresses(ctx, name)
			if err != nil {
				return fmt.Errorf("--admin: %w", err)
			}
			for _, pod := range pods {
				if err := askReadiness(ctx, name, pod); err != nil {
					return err
				}
				asked++
			}
		}
		return nil
	})
	return fmt.Sprintf("%d pods are ready, and none warns", asked), err
}

// readyAnswer is that of a pod which lacks nothing.
const readyAnswer = "ok"

func askReadiness(ctx context.Context, name, pod string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+pod+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Timeout: callTimeout}).Do(request)
	if err != nil {
		return chat.Errorf(chat.CodeUnavailable, "%s: %v", name, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReadiness))
	if err != nil {
		return chat.Errorf(chat.CodeUnavailable, "%s: %v", name, err)
	}
	said := strings.TrimSpace(string(body))
	if response.StatusCode != http.StatusOK || said != readyAnswer {
		return chat.Errorf(chat.CodeUnavailable, "%s (%s) answers %s: %s", name, pod, response.Status, said)
	}
	return nil
}

// addresses are those of all pods behind a host:port.
func addresses(ctx context.Context, name string) ([]string, error) {
	host, port, err := net.SplitHostPort(name)
	if err != nil {
		return nil, err
	}
	hosts, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, chat.Errorf(chat.CodeUnavailable, "no pod is ready: %v", err)
	}
	var found []string
	for _, host := range hosts {
		found = append(found, net.JoinHostPort(host, port))
	}
	return found, nil
}
