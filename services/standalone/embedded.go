package standalone

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

// embeddedRedis is a server of the Redis protocol in this process. Nobody else can connect to it: its connections are
// pipes within the process.
type embeddedRedis struct {
	server *miniredis.Miniredis
	client redis.UniversalClient
}

func startRedis() (*embeddedRedis, error) {
	server := miniredis.NewMiniRedis()
	first, err := server.Dial() // which starts it without a listener
	if err != nil {
		return nil, fmt.Errorf("embedded redis: %w", err)
	}
	_ = first.Close()
	return &embeddedRedis{server: server, client: stream.OpenWithin(func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		answers := &buffered{Conn: theirs, changed: make(chan struct{}, 1)}
		go answers.pump()
		server.Server().ServeConn(answers)
		return ours, nil
	})}, nil
}

// buffered is a connection whose writes do not wait for the reader: a client writes all of its commands before it
// reads the first answer, and would otherwise wait for the server, which waits for it.
type buffered struct {
	net.Conn

	mu      sync.Mutex
	waiting []byte
	closed  bool
	changed chan struct{} // of one element: something is waiting, or the connection is closed
}

// Write implements net.Conn.
func (b *buffered) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, net.ErrClosed
	}
	b.waiting = append(b.waiting, p...)
	b.wake()
	return len(p), nil
}

// Close implements net.Conn.
func (b *buffered) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.wake()
	return b.Conn.Close()
}

func (b *buffered) wake() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// pump passes on what waits, until the connection is closed.
func (b *buffered) pump() {
	for range b.changed {
		b.mu.Lock()
		p, closed := b.waiting, b.closed
		b.waiting = nil
		b.mu.Unlock()
		if closed {
			return
		}
		if _, err := b.Conn.Write(p); err != nil {
			_ = b.Close()
			return
		}
	}
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
