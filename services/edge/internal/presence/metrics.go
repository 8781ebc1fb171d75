package presence

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/metric"
)

type metrics struct {
	rounds, updates *prometheus.CounterVec
	took            prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) metrics {
	return metrics{
		rounds:  metric.Counters(reg, "parley_edge_presence_rounds_total", "Times that the registry of who is where was written and read, by whether Redis did it.", "result", "ok", "failed"),
		updates: metric.Counters(reg, "parley_edge_presence_updates_total", "Members of whom rooms on this edge were told that they had come or gone.", "kind", "entered", "exited"),
		took:    metric.Histogram(reg, "parley_edge_presence_round_seconds", "Time to write and read the registry of who is where.", metric.DurationBuckets()),
	}
}

func (m metrics) round(start time.Time, err error) {
	metric.Since(m.took, start, "")
	if err != nil {
		m.rounds.WithLabelValues("failed").Inc()
		return
	}
	m.rounds.WithLabelValues("ok").Inc()
}
