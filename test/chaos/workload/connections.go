package workload

import (
	"context"
	"net"
	"sync"
)

// Connections opens connections, and cuts them without a word.
type Connections struct {
	mu   sync.Mutex
	open map[net.Conn]bool
}

type connection struct {
	net.Conn

	from *Connections
}

// Dial is for client.Options.
func (c *Connections) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[net.Conn]bool{}
	}
	c.open[conn] = true
	return connection{conn, c}, nil
}

// Close implements net.Conn.
func (c connection) Close() error {
	c.from.mu.Lock()
	delete(c.from.open, c.Conn)
	c.from.mu.Unlock()
	return c.Conn.Close()
}

// Cut cuts every nth connection; maps have no order, so it is any.
func (c *Connections) Cut(nth int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := 0
	for conn := range c.open {
		if i++; i%nth == 0 {
			_ = conn.Close()
		}
	}
}
