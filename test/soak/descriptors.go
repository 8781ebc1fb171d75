//go:build linux

package soak

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Descriptors are a process's open files and sockets, by what is at the other end.
type Descriptors struct {
	In       int `json:"in"`       // connections that others made: clients, other services
	Out      int `json:"out"`      // connections to other services
	Redis    int `json:"redis"`    // a pool, which keeps what it once needed
	Postgres int `json:"postgres"` // the same
	Other    int `json:"other"`    // listeners, files, pipes
}

func (d Descriptors) all() int { return d.In + d.Out + d.Redis + d.Postgres + d.Other }

// connection is a TCP socket as the kernel lists it.
type connection struct {
	local, remote int // ports
	listens       bool
}

// readConnections are all TCP sockets of this machine, by inode.
func readConnections() (map[string]connection, error) {
	all := map[string]connection{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		content, err := os.ReadFile(table) //nolint:gosec // one of the two above
		if errors.Is(err, fs.ErrNotExist) {
			continue // no IPv6 here
		}
		if err != nil {
			return nil, fmt.Errorf("connections: %w", err)
		}
		lines := bufio.NewScanner(bytes.NewReader(content))
		for lines.Scan() {
			fields := strings.Fields(lines.Text()) // sl local remote state queues timer retransmits uid timeout inode
			if len(fields) < 10 || fields[0] == "sl" {
				continue
			}
			all[fields[9]] = connection{local: hexPort(fields[1]), remote: hexPort(fields[2]), listens: fields[3] == "0A"}
		}
	}
	return all, nil
}

func hexPort(address string) int {
	port, _ := strconv.ParseInt(address[strings.LastIndexByte(address, ':')+1:], 16, 32)
	return int(port)
}

func portOf(address string) int {
	_, text, _ := net.SplitHostPort(address)
	port, _ := strconv.Atoi(text)
	return port
}

// descriptorsOf counts what the process has open. Who made a connection is told by the process's own
// listeners: what ends at one of their ports came in.
func descriptorsOf(pid int, connections map[string]connection, redis, postgres int) (d Descriptors, err error) {
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return d, fmt.Errorf("descriptors: %w", err)
	}
	var open []connection
	listened := map[int]bool{}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue // closed meanwhile
		}
		inode, isSocket := strings.CutPrefix(target, "socket:[")
		c, known := connections[strings.TrimSuffix(inode, "]")]
		switch {
		case !isSocket || !known || c.listens:
			d.Other++
			if c.listens {
				listened[c.local] = true
			}
		default:
			open = append(open, c)
		}
	}
	for _, c := range open {
		switch {
		case listened[c.local]:
			d.In++
		case c.remote == redis:
			d.Redis++
		case c.remote == postgres:
			d.Postgres++
		default:
			d.Out++
		}
	}
	return d, nil
}
