package check

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/wire"
)

// participant is one socket, the events that it received, and the address that it connects to.
type participant struct {
	socket *client.Socket
	stop   context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	address string   // of the edge; "": the host of the URL
	blocked bool     // dial fails
	conn    net.Conn // the latest
	lastErr error    // of the last connection
	joins   []client.Joined
	entries []wire.Event
	changed chan struct{} // closed and replaced at each change
}

func newParticipant(base, address string, tokens client.TokenSource) *participant {
	p := &participant{address: address, ended: make(chan struct{}), changed: make(chan struct{})}
	p.socket = client.NewSocket(client.Options{Base: base, Tokens: tokens, Handler: p, Dial: p.dial})
	return p
}

// start keeps the socket connected until close.
func (p *participant) start(ctx context.Context) {
	ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(p.ended)
		if err := p.socket.Run(ctx); err != nil {
			p.State(false, err)
		}
	}()
}

func (p *participant) close() {
	p.stop()
	<-p.ended
}

var errBlocked = errors.New("disconnected by this check")

func (p *participant) dial(ctx context.Context, network, address string) (net.Conn, error) {
	p.mu.Lock()
	blocked := p.blocked
	if p.address != "" {
		address = p.address
	}
	p.mu.Unlock()
	if blocked {
		return nil, errBlocked
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		p.mu.Lock()
		p.conn = conn
		p.mu.Unlock()
	}
	return conn, err
}

// disconnect closes the connection without a close frame, as if the node died, and blocks new connections.
func (p *participant) disconnect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocked = true
	if p.conn != nil {
		_ = p.conn.Close()
	}
}

// reconnect lets the socket connect again, to address.
func (p *participant) reconnect(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocked, p.address = false, address
}

// waitUntil waits for a condition. It returns false if ctx ends first.
func (p *participant) waitUntil(ctx context.Context, ok func(*participant) bool) bool {
	for {
		p.mu.Lock()
		done, changed := ok(p), p.changed
		p.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// connectionError returns why there is no connection, nil if the reason is unknown.
func (p *participant) connectionError() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastErr
}

func (p *participant) update(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
}

// State implements client.Handler.
func (p *participant) State(_ bool, why error) { p.update(func() { p.lastErr = why }) }

// Frame implements client.Handler.
func (p *participant) Frame(string, []byte) {}

// Joined implements client.RoomHandler.
func (p *participant) Joined(j client.Joined) { p.update(func() { p.joins = append(p.joins, j) }) }

// Entry implements client.RoomHandler.
func (p *participant) Entry(e wire.Event) { p.update(func() { p.entries = append(p.entries, e) }) }

// Signal implements client.RoomHandler.
func (p *participant) Signal(string, []byte) {}

// Left implements client.RoomHandler.
func (p *participant) Left(why error) { p.update(func() { p.lastErr = why }) }

// after returns the entries above cursor, in the order of their arrival.
func (p *participant) after(cursor chat.Seq) []wire.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	var entries []wire.Event
	for _, e := range p.entries {
		if e.Seq > cursor {
			entries = append(entries, e)
		}
	}
	return entries
}
