package session

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are what sessions count, all sessions of an edge together.
type Metrics struct {
	connections prometheus.Gauge
	closed      *prometheus.CounterVec
	commands    *prometheus.CounterVec
	acks        *prometheus.HistogramVec
	delivery    prometheus.Histogram
	waiting     atomic.Int64 // bytes, in all outboxes
	outbox      prometheus.GaugeFunc
	cuts        prometheus.Counter
}

// NewMetrics makes the sessions' metrics.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := promauto.With(registry)
	times := prometheus.ExponentialBuckets(0.0005, 2, 15)
	all := &Metrics{
		connections: m.NewGauge(prometheus.GaugeOpts{Name: "parley_edge_connections", Help: "Open sockets."}),
		closed:      m.NewCounterVec(prometheus.CounterOpts{Name: "parley_edge_closed_total", Help: "Sockets that ended, by close code; 1000: by the client or the network."}, []string{"code"}),
		commands:    m.NewCounterVec(prometheus.CounterOpts{Name: "parley_edge_commands_total", Help: "Frames of clients, by type and result."}, []string{"type", "result"}),
		acks:        m.NewHistogramVec(prometheus.HistogramOpts{Name: "parley_edge_ack_seconds", Help: "From a send, edit or delete to its answer.", Buckets: times}, []string{"type"}),
		delivery:    m.NewHistogram(prometheus.HistogramOpts{Name: "parley_edge_delivery_seconds", Help: "From an entry's append to the end of the write to a socket.", Buckets: times}),
		cuts:        m.NewCounter(prometheus.CounterOpts{Name: "parley_edge_slow_reader_cuts_total", Help: "Sockets cut because they read too slowly (4408)."}),
	}
	all.outbox = m.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_edge_outbox_bytes", Help: "Bytes that wait for sockets, all together."},
		func() float64 { return float64(all.waiting.Load()) })
	return all
}
