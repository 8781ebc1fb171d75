package lanes

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/metric"
)

// Metrics are what all lanes of an edge are measured by.
type Metrics struct {
	entries, bytes, most *prometheus.GaugeVec
	refused              *prometheus.CounterVec
	waited               *prometheus.HistogramVec
}

// NewMetrics makes the metrics of lanes.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m, labels := promauto.With(reg), []string{"lane"}
	return &Metrics{
		entries: m.NewGaugeVec(prometheus.GaugeOpts{Name: "parley_edge_lane_entries", Help: "Entries that wait in lanes to rooms."}, labels),
		bytes:   m.NewGaugeVec(prometheus.GaugeOpts{Name: "parley_edge_lane_bytes", Help: "Bytes that wait in lanes to rooms, about."}, labels),
		most:    m.NewGaugeVec(prometheus.GaugeOpts{Name: "parley_edge_lane_bytes_max", Help: "Bytes that may wait in one lane."}, labels),
		refused: m.NewCounterVec(prometheus.CounterOpts{Name: "parley_edge_lane_refused_total", Help: "Entries refused unsent, because too much waited or because they had waited too long."}, []string{"lane", "reason"}),
		waited:  metric.Histograms(reg, "parley_edge_lane_wait_seconds", "How long the oldest entry of a batch has waited for it.", metric.DurationBuckets(), labels...),
	}
}

// measured is what the lanes of one name are measured by, together.
type measured struct {
	entries, bytes prometheus.Gauge
	full, old      prometheus.Counter
	waited         prometheus.Observer
}

func (m *Metrics) of(name string, bounds Bounds) measured {
	m.most.WithLabelValues(name).Set(float64(bounds.Bytes))
	return measured{
		entries: m.entries.WithLabelValues(name), bytes: m.bytes.WithLabelValues(name),
		full: m.refused.WithLabelValues(name, "full"), old: m.refused.WithLabelValues(name, "old"),
		waited: m.waited.WithLabelValues(name),
	}
}
