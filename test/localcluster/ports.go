package localcluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below the range that systems hand out to outgoing connections (32768 and up on
// Linux): the port of a service that is down for a second must not become some client's.
const (
	firstPort = 20000
	lastPort  = 32000
)

// freeAddress returns an address on this machine that nobody listens on, none of taken, and takes it.
func freeAddress(ctx context.Context, taken map[string]bool) (string, error) {
	const tries = 1000
	for range tries {
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // any free port will do
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if taken[address] {
			continue
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			continue
		}
		taken[address] = true
		return address, nil
	}
	return "", errors.New("found no free port on 127.0.0.1")
}
