package outbox

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/metric"
)

// Metrics are what outboxes count, all of an edge together.
type Metrics struct {
	cuts     prometheus.Counter
	delivery prometheus.Histogram
	waiting  atomic.Int64 // bytes, in all outboxes
	outbox   prometheus.GaugeFunc
}

// NewMetrics makes the outboxes' metrics.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := promauto.With(registry)
	all := &Metrics{
		delivery: metric.Histogram(registry, "parley_edge_delivery_seconds", "From an entry's append to the end of the write to a socket.", metric.DurationBuckets()),
		cuts:     m.NewCounter(prometheus.CounterOpts{Name: "parley_edge_slow_reader_cuts_total", Help: "Sockets cut because they read too slowly (4408)."}),
	}
	all.outbox = m.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_edge_outbox_bytes", Help: "Bytes that wait for sockets, all together."},
		func() float64 { return float64(all.waiting.Load()) })
	return all
}
