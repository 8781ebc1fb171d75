package localcluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Redis describes a Redis server of our own, which keeps nothing: Parley never needs it to.
type Redis struct {
	Name     string // of its process
	Folder   string // its working folder
	Address  string
	Password string // letters and digits
	LogFile  string
}

// URL is how to connect to it.
func (r Redis) URL() string { return "redis://:" + r.Password + "@" + r.Address + "/0" }

// Do runs a command whose answer is a word or a text, such as "FLUSHALL" or "INFO replication".
func (r Redis) Do(ctx context.Context, command string) (string, error) {
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return "", fmt.Errorf("redis %s: %w", command, err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err = io.WriteString(conn, "AUTH "+r.Password+"\r\n"+command+"\r\n"); err != nil {
		return "", fmt.Errorf("redis %s: %w", command, err)
	}
	reader := bufio.NewReader(conn)
	if answer, failed := reader.ReadString('\n'); failed != nil || answer != "+OK\r\n" {
		return "", fmt.Errorf("redis %s: AUTH: %q, %w", command, answer, failed)
	}
	line, err := reader.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("redis %s: %w", command, err)
	}
	line = strings.TrimRight(line, "\r\n")
	switch line[:min(1, len(line))] {
	case "+":
		return line[1:], nil
	case "$":
		size, err := strconv.Atoi(line[1:])
		if err != nil || size < 0 {
			return "", fmt.Errorf("redis %s: answers %q", command, line)
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(reader, text); err != nil {
			return "", fmt.Errorf("redis %s: %w", command, err)
		}
		return string(text), nil
	default:
		return "", fmt.Errorf("redis %s: answers %q", command, line)
	}
}

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
	// In a file, since everybody on the machine sees the arguments of a process.
	settings := filepath.Join(r.Folder, "redis.conf")
	if err := os.WriteFile(settings, []byte("requirepass "+r.Password+"\nmasterauth "+r.Password+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("redis settings: %w", err)
	}
	return &Child{
		Name: r.Name, Address: r.Address, Path: path, LogFile: r.LogFile, Stop: syscall.SIGTERM, Grace: 5 * time.Second,
		Args:  []string{settings, "--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", r.Folder},
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
