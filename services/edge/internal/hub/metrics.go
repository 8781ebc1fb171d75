package hub

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Registerer is where metrics are counted.
type Registerer = prometheus.Registerer

type metrics struct {
	rooms   prometheus.Gauge
	filled  prometheus.Counter
	resumes *prometheus.CounterVec
}

func newMetrics(registry Registerer) *metrics {
	m := promauto.With(registry)
	return &metrics{
		rooms:   m.NewGauge(prometheus.GaugeOpts{Name: "parley_edge_open_rooms", Help: "Rooms that somebody on this edge follows."}),
		filled:  m.NewCounter(prometheus.CounterOpts{Name: "parley_edge_filled_entries_total", Help: "Entries that Redis did not bring and that were read from the log."}),
		resumes: m.NewCounterVec(prometheus.CounterOpts{Name: "parley_edge_resumes_total", Help: "Joins with a cursor, by where the missed entries came from; refused: they could not be had."}, []string{"source"}),
	}
}
