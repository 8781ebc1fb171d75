// Package listen opens TCP listeners that outlive a shortage of file descriptors and hold a bounded number
// of connections, in all and for each client address.
package listen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Reason is why a connection was refused.
type Reason string

// Reasons.
const (
	Full        Reason = "full"    // there are Options.Max connections
	AddressFull Reason = "address" // there are Options.PerAddress connections of one address
)

// Options bound a listener. The zero value bounds nothing.
type Options struct {
	Log *slog.Logger
	// Max bounds all connections and PerAddress those of one client: an IPv4 address, an IPv6 /64. 0 is no bound.
	Max, PerAddress int
	// Exempt are the networks of proxies, whose connections belong to many clients: PerAddress does not hold there.
	Exempt []netip.Prefix
	// Answer is what a refused connection is told before it is closed; nil says nothing.
	Answer func(Reason) []byte
	// Refused is called for each refused connection, Failed for each accept that failed; nil are not.
	Refused func(Reason)
	Failed  func()
}

// Times of a listener.
const (
	shortestWait = 5 * time.Millisecond // after an accept that failed, twice as long each time
	longestWait  = time.Second
	warnEvery    = 10 * time.Second
	// A refused client gets lingerFor to read its answer; lingerers bounds how many do at once.
	lingerFor = 500 * time.Millisecond
	lingerers = 16
)

// Listener is a bounded listener.
type Listener struct {
	net.Listener

	options Options
	closing chan struct{}
	close   func() error
	linger  sync.WaitGroup
	slots   chan struct{}
	warned  map[Reason]time.Time // of Accept alone

	mu        sync.Mutex
	open      int
	byAddress map[netip.Prefix]int
}

// Open listens on address; variable names where that came from, for the error.
func Open(ctx context.Context, variable, address string, o Options) (*Listener, error) {
	inner, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: can't listen on %s: %w", variable, address, err)
	}
	return New(inner, o), nil
}

// New bounds inner, whose connections are TCP's.
func New(inner net.Listener, o Options) *Listener {
	l := &Listener{
		Listener: inner, options: o, closing: make(chan struct{}), slots: make(chan struct{}, lingerers),
		warned: map[Reason]time.Time{Full: {}, AddressFull: {}}, byAddress: map[netip.Prefix]int{},
	}
	l.close = sync.OnceValue(func() error {
		close(l.closing)
		err := inner.Close()
		l.linger.Wait()
		return err //nolint:wrapcheck // as net.Listener returns it
	})
	return l
}

// Close implements net.Listener; it may be called again.
func (l *Listener) Close() error { return l.close() }

// Connections is how many connections are open.
func (l *Listener) Connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// Accept implements net.Listener: it returns the next connection within the bounds, and an error only when
// the listener is closed or none. A process that is out of descriptors gets some back as clients leave.
func (l *Listener) Accept() (net.Conn, error) {
	wait := shortestWait
	for {
		conn, err := l.Listener.Accept()
		switch {
		case err == nil:
		case final(err):
			return nil, err //nolint:wrapcheck // servers compare it
		default:
			if l.options.Failed != nil {
				l.options.Failed()
			}
			if l.mayWarn("") {
				l.options.Log.Warn("connections can't be accepted", slog.String("listener", l.Addr().String()), slog.Any("error", err))
			}
			if !l.pause(wait) {
				return nil, net.ErrClosed
			}
			wait = min(2*wait, longestWait)
			continue
		}
		wait = shortestWait
		admitted, refusal := l.admit(conn)
		if refusal == "" {
			return admitted, nil
		}
		l.refuse(conn, refusal)
	}
}

// final says that no further connection can ever be accepted.
func final(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) ||
		errors.Is(err, syscall.EBADF) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSOCK)
}

// pause waits; false if the listener is closed meanwhile.
func (l *Listener) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.closing:
		return false
	}
}

// mayWarn says whether it is time to log what strangers may cause as often as they like; "" is that nothing
// can be accepted.
func (l *Listener) mayWarn(of Reason) bool {
	now := time.Now()
	if l.options.Log == nil || now.Sub(l.warned[of]) < warnEvery {
		return false
	}
	l.warned[of] = now
	return true
}

// admit counts conn until it is closed, or says why it can't stay.
func (l *Listener) admit(conn net.Conn) (net.Conn, Reason) {
	client, exempt := l.client(conn)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch o := l.options; {
	case o.Max > 0 && l.open >= o.Max:
		return nil, Full
	case o.PerAddress > 0 && !exempt && l.byAddress[client] >= o.PerAddress:
		return nil, AddressFull
	}
	l.open++
	l.byAddress[client]++
	if tcp, ok := conn.(*net.TCPConn); ok {
		return &counted{TCPConn: tcp, listener: l, client: client}, ""
	}
	return &countedOther{Conn: conn, leave: sync.OnceFunc(func() { l.left(client) })}, ""
}

// client is whom conn is counted for.
func (l *Listener) client(conn net.Conn) (client netip.Prefix, exempt bool) {
	peer, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{}, true
	}
	ip := peer.Addr().Unmap().WithZone("")
	for _, network := range l.options.Exempt {
		exempt = exempt || network.Contains(ip)
	}
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	client, _ = ip.Prefix(bits)
	return client, exempt
}

func (l *Listener) left(client netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.byAddress[client]--; l.byAddress[client] == 0 {
		delete(l.byAddress, client)
	}
}

// refuse tells conn why and closes it.
func (l *Listener) refuse(conn net.Conn, reason Reason) {
	if l.options.Refused != nil {
		l.options.Refused(reason)
	}
	if l.mayWarn(reason) {
		l.options.Log.Warn("connections are refused: too many are open", slog.String("listener", l.Addr().String()),
			slog.String("reason", string(reason)), slog.String("client", conn.RemoteAddr().String()))
	}
	if l.options.Answer != nil {
		_ = conn.SetDeadline(time.Now().Add(lingerFor))
		_, _ = conn.Write(l.options.Answer(reason)) // into an empty buffer: it does not wait
		if l.lingers(conn) {
			return
		}
	}
	_ = conn.Close()
}

// lingers closes conn once the client has read its answer, which a close with unread bytes of the client's
// request would throw away; false if too many do already.
func (l *Listener) lingers(conn net.Conn) bool {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return false
	}
	select {
	case l.slots <- struct{}{}:
	default:
		return false
	}
	l.linger.Go(func() {
		defer func() { <-l.slots }()
		_ = tcp.CloseWrite()
		_, _ = io.CopyN(io.Discard, tcp, 64<<10)
		_ = tcp.Close()
	})
	return true
}

// counted is a connection that the listener counts. All that a TCP connection can do besides, it can.
type counted struct {
	*net.TCPConn

	listener *Listener
	client   netip.Prefix
	once     sync.Once
}

// Close implements net.Conn.
func (c *counted) Close() error {
	err := c.TCPConn.Close()
	c.once.Do(func() { c.listener.left(c.client) })
	return err //nolint:wrapcheck // as net.Conn returns it
}

// countedOther is counted for a connection of another kind, as tests have.
type countedOther struct {
	net.Conn

	leave func()
}

// Close implements net.Conn.
func (c *countedOther) Close() error {
	defer c.leave()
	return c.Conn.Close() //nolint:wrapcheck // as net.Conn returns it
}
