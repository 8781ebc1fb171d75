package client

import (
	"context"
	"math/rand/v2"
	"time"
)

// Full jitter: the n-th try waits a random part of backoffFirst doubled n times, reconnectLast at most. So
// thousands of clients that lost the same server come back spread out. A command on a connection that
// holds is tried again sooner: its server is there.
const (
	backoffFirst  = 250 * time.Millisecond
	reconnectLast = 15 * time.Second
	commandLast   = 2 * time.Second
)

type backoff struct {
	last  time.Duration // the longest wait
	tries int
}

// next is how long to wait now, at least floor.
func (b *backoff) next(floor time.Duration) time.Duration {
	limit := backoffFirst << min(b.tries, 10)
	b.tries++
	return floor + jitter(min(limit, b.last))
}

func (b *backoff) reset() { b.tries = 0 }

// jitter is a random moment below limit.
func jitter(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	return rand.N(limit) //nolint:gosec // spreading needs no secrecy
}

// sleep waits for d, or returns the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
