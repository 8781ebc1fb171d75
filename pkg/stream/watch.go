package stream

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/metric"
)

// Times of a Watch.
const (
	watchEvery   = 2 * time.Second
	watchTimeout = time.Second
)

// Watch measures how a process gets on with its Redis: whether that answers, how fast, and the pool of
// connections. Everybody goes on without Redis; a Redis that refuses the credential, which no waiting mends, is
// told at once.
type Watch struct {
	client redis.UniversalClient
	log    *slog.Logger
	warn   func(warning string)

	refused  bool
	refusals prometheus.Gauge
	up       prometheus.Gauge
	took     prometheus.Histogram
}

// NewWatch makes the Watch of a process; Run does its work. It tells warn what an operator should mend, "" once that is mended.
func NewWatch(client redis.UniversalClient, reg prometheus.Registerer, log *slog.Logger, warn func(warning string)) *Watch {
	m := promauto.With(reg)
	w := &Watch{
		client: client, log: log, warn: warn,
		refusals: m.NewGauge(prometheus.GaugeOpts{
			Name: "parley_redis_credential_refused", Help: "1 if Redis, or a sentinel, has refused the password or the user at the last ping that it answered.",
		}),
		up:   m.NewGauge(prometheus.GaugeOpts{Name: "parley_redis_up", Help: "1 if Redis has answered the last ping."}),
		took: metric.Histogram(reg, "parley_redis_ping_seconds", "Time of a ping that Redis answered.", metric.DurationBuckets()),
	}
	connections := func(state string, count func(*redis.PoolStats) uint32) {
		m.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "parley_redis_pool_connections", Help: "Connections of the pool, by what they do.", ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 { return float64(count(client.PoolStats())) })
	}
	connections("in_use", func(s *redis.PoolStats) uint32 { return s.TotalConns - min(s.IdleConns, s.TotalConns) })
	connections("idle", func(s *redis.PoolStats) uint32 { return s.IdleConns })
	m.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_redis_pool_connections_max", Help: "How many connections there may be, to each node."},
		func() float64 { return float64(poolSize(client)) })
	total := func(name, help string, count func(*redis.PoolStats) float64) {
		m.NewCounterFunc(prometheus.CounterOpts{Name: "parley_redis_pool_" + name, Help: help}, func() float64 { return count(client.PoolStats()) })
	}
	total("dials_total", "Times that no idle connection was there.", func(s *redis.PoolStats) float64 { return float64(s.Misses) })
	total("waits_total", "Times that one had to wait for a connection.", func(s *redis.PoolStats) float64 { return float64(s.WaitCount) })
	total("wait_seconds_total", "Time that was waited for connections.", func(s *redis.PoolStats) float64 { return time.Duration(s.WaitDurationNs).Seconds() })
	total("timeouts_total", "Waits that ended without a connection.", func(s *redis.PoolStats) float64 { return float64(s.Timeouts) })
	return w
}

func poolSize(client redis.UniversalClient) int {
	switch c := client.(type) {
	case *redis.Client:
		return c.Options().PoolSize
	case *redis.ClusterClient:
		return c.Options().PoolSize
	}
	return 0
}

// Run pings until ctx ends.
func (w *Watch) Run(ctx context.Context, ready func()) error {
	ready()
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (w *Watch) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	start := time.Now()
	if err := w.client.Ping(ctx).Err(); err != nil {
		w.up.Set(0)
		if refusesCredential(err) && !w.refused {
			w.setRefused(true)
			w.log.ErrorContext(ctx, "redis refuses the credential", slog.Any("error", err))
		}
		return
	}
	w.up.Set(1)
	metric.Since(w.took, start, "")
	if w.refused {
		w.setRefused(false)
		w.log.InfoContext(ctx, "redis is reachable again")
	}
}

func (w *Watch) setRefused(refused bool) {
	w.refused = refused
	if refused {
		w.refusals.Set(1)
		w.warn("it refuses the credential: is PARLEY_REDIS_PASSWORD right?")
	} else {
		w.refusals.Set(0)
		w.warn("")
	}
}

// refusesCredential says whether Redis answered that the password is wrong or missing, or that the user may not even
// ping.
func refusesCredential(err error) bool { return redis.IsAuthError(err) || redis.IsPermissionError(err) }
