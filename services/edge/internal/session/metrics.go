package session

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/operation"
)

// Metrics are what sessions count, all sessions of an edge together.
type Metrics struct {
	connections prometheus.Gauge
	closed      *prometheus.CounterVec
	commands    *prometheus.CounterVec
	answers     *prometheus.HistogramVec
	acks        *prometheus.HistogramVec
	aged        prometheus.Counter
}

// NewMetrics makes the sessions' metrics.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := promauto.With(registry)
	all := &Metrics{
		connections: m.NewGauge(prometheus.GaugeOpts{Name: "parley_edge_connections", Help: "Open sockets."}),
		closed: metric.Counters(registry, "parley_edge_closed_total", "Sockets that ended, by close code; 1000: by the client or the network.", "code",
			"1000", "1002", "1003", "1007", "1009", "1012", "4401", "4408", "4429"),
		commands: m.NewCounterVec(prometheus.CounterOpts{Name: "parley_edge_commands_total", Help: "Frames of clients, by type and result."}, []string{"type", "result"}),
		answers:  metric.Histograms(registry, "parley_edge_command_seconds", "From a client's frame to its answer, by type.", metric.DurationBuckets(), "type"),
		acks:     metric.Histograms(registry, "parley_edge_ack_seconds", "From a send, edit or delete to its answer.", metric.DurationBuckets(), "type"),
		aged:     m.NewCounter(prometheus.CounterOpts{Name: "parley_edge_aged_total", Help: "Sockets and event streams sent elsewhere because they were old."}),
	}
	for _, kind := range append(slices.Collect(maps.Keys(commands)), unknown) {
		all.commands.WithLabelValues(kind, result(nil))
		all.answers.WithLabelValues(kind)
	}
	for _, o := range operation.All {
		kind := string(o.Name)
		all.acks.WithLabelValues(kind)
		for _, failed := range []chat.Code{chat.CodeUnavailable, chat.CodeInternal} { // a rate does not see what a series is born with
			all.commands.WithLabelValues(kind, string(failed))
		}
	}
	return all
}

// answered counts a frame that was answered, with its trace, "" for none.
func (m *Metrics) answered(kind string, since time.Time, err error, traceID string) {
	m.commands.WithLabelValues(kind, result(err)).Inc()
	metric.Since(m.answers.WithLabelValues(kind), since, traceID)
}

// unknown is the type of frames that have none of ours.
const unknown = "unknown"

// label keeps to the closed set of types, since strangers may send any.
func label(kind string) string {
	if _, known := commands[kind]; known {
		return kind
	}
	return unknown
}

func result(err error) string {
	if err == nil {
		return "ok"
	}
	return string(chat.CodeOf(err))
}
