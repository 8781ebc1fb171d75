package faults

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/wire"
)

// probeEvery is how often a probe sends.
const probeEvery = 100 * time.Millisecond

// probe is a client that has an edge of its own, sends to a room of its own at a steady rate and
// listens to the others'. It goes elsewhere when its edge does not take it.
type probe struct {
	number int
	meter  *meter
	socket *client.Socket
	rooms  []chat.Slug // rooms[number] is its own
	edges  []string    // host:port; edges[number] is its own; none: wherever the base leads

	mu   sync.Mutex
	away int // how often it went on to the next edge since it was at home
	conn net.Conn
}

// startProbes starts one probe for each edge; stop ends them and may be called again.
func (d *driver) startProbes(ctx context.Context, people *people) (stop func(), err error) {
	edges := d.cluster.Edges()
	d.probes, stop, err = startProbes(ctx, people, d.meter, d.rooms[d.options.Rooms:], edges, len(edges))
	return stop, err
}

func startProbes(ctx context.Context, people *people, m *meter, rooms []chat.Slug, edges []string, number int) ([]*probe, func(), error) {
	sending, quiet := context.WithCancel(ctx)
	connected, quit := context.WithCancel(ctx)
	var running, talking sync.WaitGroup
	stop := sync.OnceFunc(func() {
		quiet()
		talking.Wait()
		quit()
		running.Wait()
	})
	var probes []*probe
	for i := range number {
		n := 1_000_000 + i // beyond the clients that talk
		signIn, err := people.signIn(ctx, n)
		if err != nil {
			stop()
			return nil, nil, fmt.Errorf("probe %d: %w", i, err)
		}
		p := &probe{number: i, meter: m, rooms: rooms, edges: edges}
		tokens := people.keep(signIn, n)
		p.socket = client.NewSocket(client.Options{Base: people.base, Tokens: tokens, Handler: p, Dial: p.dial, AnswerTimeout: 2 * time.Second})
		probes = append(probes, p)
		running.Go(func() { _ = p.socket.Run(connected) })
		for from, room := range rooms {
			limit, cancel := context.WithTimeout(connected, time.Minute)
			err := p.socket.Join(limit, room, client.JoinOptions{Limit: 50}, &listener{probe: p, from: from})
			cancel()
			if err != nil {
				stop()
				return nil, nil, fmt.Errorf("probe %d joins: %w", i, err)
			}
		}
	}
	for _, p := range probes {
		talking.Go(func() { p.send(sending) })
	}
	return probes, stop, nil
}

func (p *probe) send(ctx context.Context) {
	room := p.rooms[p.number]
	for n := 0; ; n++ {
		next := time.NewTimer(probeEvery)
		nonce := fmt.Sprintf("probe-%d-%d", p.number, n)
		begun := p.meter.send(nonce)
		if _, err := p.socket.Send(ctx, room, client.Outgoing{Body: nonce, Nonce: nonce}); err == nil {
			p.meter.ack(p.number, begun)
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
			return
		}
	}
}

// dial connects to the probe's own edge, or to the next one if it was turned away.
func (p *probe) dial(ctx context.Context, network, address string) (net.Conn, error) {
	p.mu.Lock()
	if len(p.edges) > 0 {
		address = p.edges[(p.number+p.away)%len(p.edges)]
		p.away++
	}
	p.mu.Unlock()
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, network, address)
	p.mu.Lock()
	p.conn = conn
	p.mu.Unlock()
	return conn, err
}

// returnToOwnEdge has a probe that is elsewhere connect to its own edge again.
func (p *probe) returnToOwnEdge() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away%max(1, len(p.edges)) != 1 && len(p.edges) > 0 {
		p.away = 0
		p.cutLocked()
	}
}

// cut cuts its connection.
func (p *probe) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutLocked()
}

func (p *probe) cutLocked() {
	if p.conn != nil {
		_ = p.conn.Close()
	}
}

// State implements client.Handler.
func (p *probe) State(bool, error) {}

// Frame implements client.Handler.
func (p *probe) Frame(string, []byte) {}

// listener is a probe's view of the room of the probe from.
type listener struct {
	probe *probe
	from  int
}

// Joined implements client.RoomHandler.
func (l *listener) Joined(joined client.Joined) {
	for _, m := range joined.Messages {
		l.had(m.Nonce)
	}
}

// Entry implements client.RoomHandler.
func (l *listener) Entry(event wire.Event) { l.had(event.Message.Nonce) }

func (l *listener) had(nonce string) {
	if l.from != l.probe.number {
		l.probe.meter.delivered(l.from, l.probe.number, nonce)
	}
}

// Signal implements client.RoomHandler.
func (l *listener) Signal(string, []byte) {}

// Left implements client.RoomHandler.
func (l *listener) Left(error) {}
