package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/parley-chat/parley/pkg/stream"
)

// embeddedRedis is a server of the Redis protocol in this process, on a port of this machine that
// only we have the password of.
type embeddedRedis struct {
	server *miniredis.Miniredis
	client redis.UniversalClient
}

func startRedis(password string) (*embeddedRedis, error) {
	server := miniredis.NewMiniRedis()
	server.RequireAuth(password)
	if err := server.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("embedded redis: %w", err)
	}
	client, err := stream.Open("redis://:" + password + "@" + server.Addr() + "/0")
	if err != nil {
		server.Close()
		return nil, err
	}
	return &embeddedRedis{server: server, client: client}, nil
}

// Run moves the server's clock, by which keys expire, until ctx ends; then it closes the server.
func (r *embeddedRedis) Run(ctx context.Context, ready func()) error {
	defer r.server.Close()
	ready()
	last, tick := time.Now(), time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			r.server.FastForward(now.Sub(last))
			last = now
		case <-ctx.Done():
			return r.client.Close()
		}
	}
}

// switchboard connects the services to each other inside the process, by the names of their hosts.
type switchboard map[string]*line

// line is the listener of a service inside the process. Closing it again is nothing, as its server does.
type line struct {
	*fasthttputil.InmemoryListener

	once sync.Once
}

// Close implements net.Listener.
func (l *line) Close() (err error) {
	l.once.Do(func() { err = l.InmemoryListener.Close() })
	return err
}

// listen opens the line of a host.
func (s switchboard) listen(host string) net.Listener {
	s[host] = &line{InmemoryListener: fasthttputil.NewInmemoryListener()}
	return s[host]
}

// dial implements webapi.Dial.
func (s switchboard) dial(_ context.Context, _, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	l, ok := s[host]
	if !ok {
		return nil, fmt.Errorf("dial %s: there is no such service in this process", address)
	}
	return l.Dial()
}
