package talk

import (
	"context"
	"net"
	"sync"
)

// Cutter opens connections, and cuts them without a word.
type Cutter struct {
	mu   sync.Mutex
	open map[net.Conn]bool
}

type cuttable struct {
	net.Conn

	from *Cutter
}

// Dial is for client.Options.
func (c *Cutter) Dial(ctx context.Context, network, address string) (net.Conn, error) {
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
	return cuttable{conn, c}, nil
}

// Close implements net.Conn.
func (c cuttable) Close() error {
	c.from.mu.Lock()
	delete(c.from.open, c.Conn)
	c.from.mu.Unlock()
	return c.Conn.Close()
}

// Cut cuts every nth connection; maps have no order, so it is any.
func (c *Cutter) Cut(nth int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := 0
	for conn := range c.open {
		if i++; i%nth == 0 {
			_ = conn.Close()
		}
	}
}
