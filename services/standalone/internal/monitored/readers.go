//go:build linux

package monitored

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/wire"
)

// deafReaders are clients that join a room, and then read no more, while much is said there.
func (d *driver) deafReaders(ctx context.Context) error {
	const readers, body = 40, 3500
	api := client.NewHTTP(d.cluster.URL, &http.Client{Timeout: 20 * time.Second})
	speaker, err := api.Guest(ctx, "Speaker")
	if err != nil {
		return fmt.Errorf("the speaker: %w", err)
	}
	room := chat.Slug("lasting-0") // of the crowd, and open to guests
	var all sync.WaitGroup
	defer all.Wait()
	for n := range readers {
		guest, err := api.Guest(ctx, fmt.Sprintf("Deaf %d", n))
		if err != nil {
			return fmt.Errorf("a reader: %w", err)
		}
		ear := &ear{}
		socket := client.NewSocket(client.Options{Base: d.cluster.URL, Tokens: api.Refresher(guest), Dial: ear.dial, AnswerTimeout: 10 * time.Second})
		all.Go(func() { _ = socket.Run(ctx) })
		all.Go(func() {
			if socket.Join(ctx, room, client.JoinOptions{}, deaf{}) == nil {
				ear.closed.Store(true)
			}
		})
	}
	socket := client.NewSocket(client.Options{Base: d.cluster.URL, Tokens: api.Refresher(speaker), AnswerTimeout: 10 * time.Second})
	all.Go(func() { _ = socket.Run(ctx) })
	if err := socket.Join(ctx, room, client.JoinOptions{}, deaf{}); err != nil {
		return fmt.Errorf("the speaker joins: %w", err)
	}
	for ctx.Err() == nil {
		_, _ = socket.Send(ctx, room, client.Outgoing{Body: strings.Repeat("x", body)})
		_ = pause(ctx, 5*time.Millisecond)
	}
	return nil
}

// ear is a client's connection, which can be closed to what comes.
type ear struct{ closed atomic.Bool }

type earConn struct {
	net.Conn

	ear *ear
}

func (e *ear) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10)
	}
	e.closed.Store(false)
	return earConn{conn, e}, nil
}

// Read implements net.Conn. What is closed reads a byte in a while, so that it learns that it was cut.
func (c earConn) Read(p []byte) (int, error) {
	if c.ear.closed.Load() && len(p) > 0 {
		time.Sleep(50 * time.Millisecond) //nolint:forbidigo // it is what a slow reader does
		p = p[:1]
	}
	return c.Conn.Read(p)
}

type deaf struct{}

func (deaf) Joined(client.Joined)  {}
func (deaf) Entry(wire.Event)      {}
func (deaf) Signal(string, []byte) {}
func (deaf) Left(error)            {}
