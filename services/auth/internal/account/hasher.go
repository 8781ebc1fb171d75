package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/alexedwards/argon2id"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
)

// HashConfig is what one hash costs, and how many are made at once. Memory needed is their product.
type HashConfig struct {
	MemoryKiB  uint32
	Iterations uint32
	Concurrent int
	// Wait is how long a call waits for its turn before it is refused.
	Wait time.Duration
}

// waiting bounds who waits, per hash made at once: more would only wait in vain.
const waiting = 32

// Hasher hashes passwords with argon2id, a bounded number at once: each takes tens of megabytes, and
// strangers decide how many are asked for. It is safe for concurrent use.
type Hasher struct {
	params  *argon2id.Params
	wait    time.Duration
	slots   chan struct{}
	queue   atomic.Int64
	dummy   string
	flight  prometheus.Gauge
	refused prometheus.Counter
	seconds prometheus.Histogram
}

// NewHasher makes a hasher.
func NewHasher(c HashConfig, reg prometheus.Registerer) (*Hasher, error) {
	params := &argon2id.Params{Memory: c.MemoryKiB, Iterations: c.Iterations, Parallelism: 1, SaltLength: 16, KeyLength: 32}
	dummy, err := argon2id.CreateHash(rand.Text(), params)
	if err != nil {
		return nil, fmt.Errorf("hashing: %w", err)
	}
	h := &Hasher{
		params: params, wait: c.Wait, slots: make(chan struct{}, c.Concurrent), dummy: dummy,
		flight: promauto.With(reg).NewGauge(prometheus.GaugeOpts{
			Name: "parley_auth_hashes_in_flight", Help: "Password hashes being computed.",
		}),
		refused: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "parley_auth_hashes_refused_total", Help: "Password hashes refused because too many were under way.",
		}),
		seconds: metric.Histogram(reg, "parley_auth_hash_seconds", "Time to compute a password hash, waiting left out.", prometheus.ExponentialBuckets(0.005, 2, 10)),
	}
	promauto.With(reg).NewGauge(prometheus.GaugeOpts{Name: "parley_auth_hashes_max", Help: "Password hashes that are computed at once at most."}).Set(float64(c.Concurrent))
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_auth_hashes_waiting", Help: "Who waits for a turn to have a password hash computed."},
		func() float64 { return float64(h.queue.Load()) })
	return h, nil
}

// Dummy is a hash that no password has, as costly to compare with as any.
func (h *Hasher) Dummy() string { return h.dummy }

// Hash returns the hash of password in PHC form; chat.CodeUnavailable if too many are under way.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	done, err := h.begin(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	hash, err := argon2id.CreateHash(password, h.params)
	if err != nil {
		return "", fmt.Errorf("hashing: %w", err)
	}
	return hash, nil
}

// Matches says whether hash is of password, and whether it was made with other parameters than
// today's; chat.CodeUnavailable if too many are under way.
func (h *Hasher) Matches(ctx context.Context, password, hash string) (ok, outdated bool, err error) {
	done, err := h.begin(ctx)
	if err != nil {
		return false, false, err
	}
	defer done()
	if _, err = checkHash(hash); err != nil {
		return false, false, err
	}
	ok, params, err := argon2id.CheckHash(password, hash)
	if err != nil {
		return false, false, fmt.Errorf("comparing a password: %w", err)
	}
	return ok, *params != *h.params, nil
}

// Bounds of a hash from the database; the configuration has the same.
const (
	maxMemoryKiB  = 4 << 20
	maxIterations = 100
	minKeyBytes   = 16
	maxKeyBytes   = 64
)

var errHash = errors.New("a password hash in the database can't be one of ours")

// checkHash returns what a hash from the database costs. Without it, one without passes or lanes would
// be a panic, one of terabytes the end of the process, and one with an empty key any password's.
func checkHash(hash string) (*argon2id.Params, error) {
	params, _, _, err := argon2id.DecodeHash(hash)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHash, err)
	}
	if params.Memory > maxMemoryKiB || params.Iterations < 1 || params.Iterations > maxIterations || params.Parallelism < 1 ||
		params.KeyLength < minKeyBytes || params.KeyLength > maxKeyBytes || params.SaltLength < minKeyBytes || params.SaltLength > maxKeyBytes {
		return nil, errHash
	}
	return params, nil
}

// begin waits for a turn; done ends it.
func (h *Hasher) begin(ctx context.Context) (done func(), err error) {
	select {
	case h.slots <- struct{}{}:
	default:
		if err := h.queued(ctx); err != nil {
			return nil, err
		}
	}
	h.flight.Inc()
	start := time.Now()
	return func() {
		h.seconds.Observe(time.Since(start).Seconds())
		h.flight.Dec()
		<-h.slots
	}, nil
}

func (h *Hasher) queued(ctx context.Context) error {
	busy := &chat.Error{Code: chat.CodeUnavailable, Message: "too many are signing in just now, try again shortly", RetryAfter: time.Second}
	defer h.queue.Add(-1)
	if h.queue.Add(1) > int64(waiting*cap(h.slots)) {
		h.refused.Inc()
		return busy
	}
	timer := time.NewTimer(h.wait)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-timer.C:
		h.refused.Inc()
		return busy
	case <-ctx.Done():
		return fmt.Errorf("waiting to hash: %w", ctx.Err())
	}
}
