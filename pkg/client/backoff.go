package client

import (
	"context"
	"math/rand/v2"
	"time"
)

// Exponential backoff with full jitter: the n-th wait is random, between 0 and backoffBase doubled n times, up to a
// maximum. It spreads out the reconnects of thousands of clients that lost the same server. Commands on a working
// connection have a lower maximum, because their server is up.
const (
	backoffBase  = 250 * time.Millisecond
	reconnectMax = 15 * time.Second
	commandMax   = 2 * time.Second
)

type backoff struct {
	longest  time.Duration
	attempts int
}

// next returns the next wait. It adds floor, the delay that the server asked for.
func (b *backoff) next(floor time.Duration) time.Duration {
	limit := backoffBase << min(b.attempts, 10)
	b.attempts++
	return floor + jitter(min(limit, b.longest))
}

func (b *backoff) reset() { b.attempts = 0 }

// jitter returns a random duration below limit.
func jitter(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	return rand.N(limit) //nolint:gosec // spreading needs no secrecy
}

// sleep waits for d. It returns ctx's error if ctx ends first.
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
