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

// checkReadiness requests the readiness of every pod that uses Redis. Without Redis people can still talk, only slower,
// and pods stay ready: the only sign of a Redis that refuses the password is a warning in the response.
func (c *checker) checkReadiness(ctx context.Context) (string, error) {
	if len(c.Admin) == 0 {
		return "skipped", nil
	}
	checked := 0
	err := retry(ctx, func() error {
		checked = 0
		for _, name := range c.Admin {
			pods, err := addresses(ctx, name)
			if err != nil {
				return fmt.Errorf("--admin: %w", err)
			}
			for _, pod := range pods {
				if err := askReadiness(ctx, name, pod); err != nil {
					return err
				}
				checked++
			}
		}
		return nil
	})
	return fmt.Sprintf("%d pods are ready, without warnings", checked), err
}

// readyAnswer is the response of a ready pod without warnings.
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
	text := strings.TrimSpace(string(body))
	if response.StatusCode != http.StatusOK || text != readyAnswer {
		return chat.Errorf(chat.CodeUnavailable, "%s (%s) answers %s: %s", name, pod, response.Status, text)
	}
	return nil
}

// addresses returns the addresses of all pods behind a host:port.
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
