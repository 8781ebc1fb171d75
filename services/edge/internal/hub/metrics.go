package hub

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// Registerer is where metrics are counted.
type Registerer = prometheus.Registerer

type metrics struct {
	rooms   prometheus.Gauge
	filled  prometheus.Counter
	resumes *prometheus.CounterVec
	opens   *prometheus.CounterVec
	opening prometheus.Histogram
	filling *prometheus.HistogramVec
}

func newMetrics(registry Registerer) *metrics {
	m := promauto.With(registry)
	all := &metrics{
		rooms:   m.NewGauge(prometheus.GaugeOpts{Name: "parley_edge_open_rooms", Help: "Rooms that somebody on this edge follows."}),
		filled:  m.NewCounter(prometheus.CounterOpts{Name: "parley_edge_filled_entries_total", Help: "Entries that Redis did not bring and that were read from the log."}),
		resumes: metric.Counters(registry, "parley_edge_resumes_total", "Joins with a cursor, by where the missed entries came from; refused: they could not be had.", "source", "memory", "log", "refused"),
		opens:   metric.Counters(registry, "parley_edge_room_opens_total", "Rooms opened, by how that ended.", "result", "ok", "not_found", "unavailable"),
		opening: metric.Histogram(registry, "parley_edge_room_open_seconds", "Time to open a room, waiting for a turn included.", metric.DurationBuckets()),
		filling: metric.Histograms(registry, "parley_edge_fill_seconds", "Time to read from the log what a room lacked, by whether it could be had.", metric.DurationBuckets(), "result"),
	}
	for _, result := range []string{"ok", "failed"} {
		all.filling.WithLabelValues(result)
	}
	return all
}

// opened counts a room that was opened, or could not be.
func (m *metrics) opened(start time.Time, err error) {
	m.opens.WithLabelValues(result(err)).Inc()
	metric.Since(m.opening, start, "")
}

// resumed counts a join that was answered with s, where it has a cursor.
func (m *metrics) resumed(j Join, s Snapshot, older []roomsapi.Entry) {
	switch {
	case j.After == nil:
	case !s.Recovered:
		m.resumes.WithLabelValues("refused").Inc()
	case len(older) > 0:
		m.resumes.WithLabelValues("log").Inc()
	default:
		m.resumes.WithLabelValues("memory").Inc()
	}
}

// filledSince counts a fill.
func (m *metrics) filledSince(start time.Time, err error) {
	how := "ok"
	if err != nil {
		how = "failed"
	}
	metric.Since(m.filling.WithLabelValues(how), start, "")
}

func result(err error) string {
	if err == nil {
		return "ok"
	}
	return string(chat.CodeOf(err))
}
