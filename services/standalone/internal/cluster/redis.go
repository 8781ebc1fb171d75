package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Redis describes a Redis server of our own, which keeps nothing: Parley never needs it to.
type Redis struct {
	Folder  string // its working folder
	Address string
	LogFile string
}

// URL is how to connect to it.
func (r Redis) URL() string { return "redis://" + r.Address + "/0" }

// Child returns the server's process.
func (r Redis) Child() (*Child, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("Redis is not installed: there is no redis-server on PATH (Debian: apt-get install redis-server)")
	}
	host, port, err := net.SplitHostPort(r.Address)
	if err != nil {
		return nil, fmt.Errorf("redis address: %w", err)
	}
	if err := os.MkdirAll(r.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("redis folder: %w", err)
	}
	return &Child{
		Name: "redis", Address: r.Address, Path: path, LogFile: r.LogFile, Stop: syscall.SIGTERM, Grace: 5 * time.Second,
		Args:  []string{"--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", r.Folder},
		Probe: listens(r.Address),
	}, nil
}

// listens is a Probe: somebody accepts connections on address.
func listens(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}
