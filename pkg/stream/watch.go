package stream

import (
	"context"
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
// connections. Nothing depends on what it finds: everybody goes on without Redis.
type Watch struct {
	client redis.UniversalClient
	up     prometheus.Gauge
	took   prometheus.Histogram
}

// NewWatch makes the Watch of a process; Run does its work.
func NewWatch(client redis.UniversalClient, reg prometheus.Registerer) *Watch {
	m := promauto.With(reg)
	w := &Watch{
		client: client,
		up:     m.NewGauge(prometheus.GaugeOpts{Name: "parley_redis_up", Help: "1 if Redis has answered the last ping."}),
		took:   metric.Histogram(reg, "parley_redis_ping_seconds", "Time of a ping that Redis answered.", metric.Times()),
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
		return
	}
	w.up.Set(1)
	metric.Since(w.took, start, "")
}
