package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// NetworkFault is what a relay does to what passes it.
type NetworkFault struct {
	// Refuse ends connections and takes no new ones.
	Refuse bool
	// Hang takes connections and bytes, and passes nothing on until it is over: packets get lost.
	Hang bool
	// Delay holds everything up for that long, each way.
	Delay time.Duration
}

// Relay passes TCP connections on to a target, so that what lies between two pieces can be slowed,
// cut, or led elsewhere. It is a part of the cluster only where faults are to be driven.
//
// Why not github.com/Shopify/toxiproxy/v2: its stall drops what is sent meanwhile (1,000 of 7,000 bytes arrived), which
// TCP never does, and one made of an hour's latency still lets new connections reach a target that is out of reach.
type Relay struct {
	Name     string
	listener net.Listener

	mu      sync.Mutex
	target  string
	fault   NetworkFault
	changed chan struct{} // closed when the fault changes
	open    map[net.Conn]struct{}
	passing sync.WaitGroup
}

func newRelay(ctx context.Context, name, listen, target string) (*Relay, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("relay %s: %w", name, err)
	}
	return &Relay{Name: name, listener: listener, target: target, changed: make(chan struct{}), open: map[net.Conn]struct{}{}}, nil
}

// Run passes connections on until ctx ends.
func (r *Relay) Run(ctx context.Context, ready func()) error {
	ready()
	stop := context.AfterFunc(ctx, func() {
		_ = r.listener.Close()
		r.cut()
	})
	defer stop()
	defer r.passing.Wait()
	for {
		conn, err := r.listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			r.cut()
			return nil
		}
		if err != nil {
			return fmt.Errorf("relay %s: %w", r.Name, err)
		}
		r.passing.Go(func() { r.serve(ctx, conn) })
	}
}

// Set changes what the relay does.
func (r *Relay) Set(w NetworkFault) {
	r.mu.Lock()
	r.fault = w
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()
	if w.Refuse {
		r.cut()
	}
}

// Redirect ends all connections and passes new ones on to another target.
func (r *Relay) Redirect(target string) {
	r.mu.Lock()
	r.target = target
	r.mu.Unlock()
	r.cut()
}

func (r *Relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.open {
		_ = conn.Close()
	}
}

func (r *Relay) state() (NetworkFault, string, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault, r.target, r.changed
}

func (r *Relay) track(conn net.Conn) (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[conn] = struct{}{}
	return func() {
		r.mu.Lock()
		delete(r.open, conn)
		r.mu.Unlock()
		_ = conn.Close()
	}
}

func (r *Relay) serve(ctx context.Context, conn net.Conn) {
	defer r.track(conn)()
	for {
		w, target, changed := r.state()
		switch {
		case ctx.Err() != nil, w.Refuse:
			return
		case w.Hang:
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		r.connect(ctx, conn, target)
		return
	}
}

func (r *Relay) connect(ctx context.Context, conn net.Conn, target string) {
	other, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", target)
	if err != nil {
		return
	}
	defer r.track(other)()
	if w, now, _ := r.state(); ctx.Err() != nil || w.Refuse || now != target {
		return
	}
	// Either way's end is the end of both: nobody here closes one half.
	var ways sync.WaitGroup
	for _, way := range [][2]net.Conn{{conn, other}, {other, conn}} {
		ways.Go(func() {
			r.copyDelayed(ctx, way[1], way[0])
			_ = conn.Close()
			_ = other.Close()
		})
	}
	ways.Wait()
}

// chunk is bytes and when they may go on.
type chunk struct {
	bytes []byte
	at    time.Time
}

// copyDelayed copies until the connection ends. What is held up waits in a queue of bounded length, then in
// the sender's own buffers, as in a network.
func (r *Relay) copyDelayed(ctx context.Context, to io.Writer, from io.Reader) {
	const chunks = 256
	queue := make(chan chunk, chunks)
	gone := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		defer close(gone)
		for p := range queue {
			if r.wait(ctx, p.at) != nil {
				return
			}
			if _, err := to.Write(p.bytes); err != nil {
				return
			}
		}
	})
	defer writing.Wait()
	defer close(queue)
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			w, _, _ := r.state()
			select {
			case queue <- chunk{bytes: append([]byte(nil), buffer[:n]...), at: time.Now().Add(w.Delay)}:
			case <-gone:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait returns when it is time and nothing hangs.
func (r *Relay) wait(ctx context.Context, at time.Time) error {
	if d := time.Until(at); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		w, _, changed := r.state()
		switch {
		case w.Refuse:
			return errRefused
		case !w.Hang:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errRefused = errors.New("the relay refuses")
