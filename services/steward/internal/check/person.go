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

// person is one socket, what it heard, and the way that it takes.
type person struct {
	socket *client.Socket
	stop   context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	address string   // of the edge; "": wherever the URL leads
	shut    bool     // no way to any edge
	conn    net.Conn // the latest
	why     error    // there was no connection the last time
	joins   []client.Joined
	entries []wire.Event
	news    chan struct{} // closed and renewed at each change
}

func newPerson(base, address string, tokens client.TokenSource) *person {
	p := &person{address: address, ended: make(chan struct{}), news: make(chan struct{})}
	p.socket = client.NewSocket(client.Options{Base: base, Tokens: tokens, Handler: p, Dial: p.dial})
	return p
}

// start keeps the socket connected until close.
func (p *person) start(ctx context.Context) {
	ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(p.ended)
		if err := p.socket.Run(ctx); err != nil {
			p.State(false, err)
		}
	}()
}

func (p *person) close() {
	p.stop()
	<-p.ended
}

var errShut = errors.New("cut by this check")

func (p *person) dial(ctx context.Context, network, address string) (net.Conn, error) {
	p.mu.Lock()
	shut := p.shut
	if p.address != "" {
		address = p.address
	}
	p.mu.Unlock()
	if shut {
		return nil, errShut
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		p.mu.Lock()
		p.conn = conn
		p.mu.Unlock()
	}
	return conn, err
}

// cut loses the connection without a word, as a dead node does, and lets none be made.
func (p *person) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	if p.conn != nil {
		_ = p.conn.Close()
	}
}

// mend lets the socket connect again, to address.
func (p *person) mend(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut, p.address = false, address
}

// until waits for what is to be seen. It returns false when ctx ends before.
func (p *person) until(ctx context.Context, seen func(*person) bool) bool {
	for {
		p.mu.Lock()
		done, news := seen(p), p.news
		p.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-news:
		case <-ctx.Done():
			return false
		}
	}
}

// trouble is why there is no connection, nil if nothing is known.
func (p *person) trouble() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why
}

func (p *person) note(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.news)
	p.news = make(chan struct{})
}

// State implements client.Handler.
func (p *person) State(_ bool, why error) { p.note(func() { p.why = why }) }

// Frame implements client.Handler.
func (p *person) Frame(string, []byte) {}

// Joined implements client.RoomHandler.
func (p *person) Joined(j client.Joined) { p.note(func() { p.joins = append(p.joins, j) }) }

// Entry implements client.RoomHandler.
func (p *person) Entry(e wire.Event) { p.note(func() { p.entries = append(p.entries, e) }) }

// Signal implements client.RoomHandler.
func (p *person) Signal(string, []byte) {}

// Left implements client.RoomHandler.
func (p *person) Left(why error) { p.note(func() { p.why = why }) }

// after are the entries above cursor, in the order in which they came.
func (p *person) after(cursor chat.Seq) []wire.Event {
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
