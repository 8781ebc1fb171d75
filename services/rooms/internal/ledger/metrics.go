package ledger

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/operation"
)

type metrics struct {
	appends    *prometheus.CounterVec
	size       prometheus.Histogram
	duration   prometheus.Histogram
	duplicates prometheus.Counter
	turns      prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	m := metrics{
		appends: f.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_rooms_appends_total", Help: "Appends asked for, by kind and by how they ended.",
		}, []string{"kind", "result"}),
		size: metric.Histogram(reg, "parley_rooms_append_batch_entries", "Entries asked for in one batch.", []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}),
		duration: metric.Histogram(reg, "parley_rooms_append_duration_seconds", "Time from a batch's arrival to its commit, waiting for its rooms included.",
			[]float64{.0005, .001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}),
		duplicates: f.NewCounter(prometheus.CounterOpts{Name: "parley_rooms_duplicates_total", Help: "Appends whose nonce was found again: answered as the first time, and stored once."}),
		turns:      f.NewGauge(prometheus.GaugeOpts{Name: "parley_rooms_turns_waiting", Help: "Transactions of this pod that wait for another one of it on the same room."}),
	}
	for _, o := range operation.All {
		m.appends.WithLabelValues(operation.Label(o.Name), resultLabel(nil))
	}
	return m
}

func (m metrics) batch(entries []Entry, outcomes []Outcome, took time.Duration, traceID string) {
	m.size.Observe(float64(len(entries)))
	metric.Observe(m.duration, took.Seconds(), traceID)
	for i := range entries {
		m.appends.WithLabelValues(operation.Label(entries[i].Kind), resultLabel(outcomes[i].Err)).Inc()
	}
}

func resultLabel(err error) string {
	if err == nil {
		return "ok"
	}
	return string(chat.CodeOf(err))
}
