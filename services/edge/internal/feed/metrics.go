package feed

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

type metrics struct {
	resumes *prometheus.CounterVec
	opens   *prometheus.CounterVec
	opening prometheus.Histogram

	filled  prometheus.Counter
	filling *prometheus.HistogramVec

	failed, missing, renewed prometheus.Counter
	read, fanOut             prometheus.Histogram
}

func newMetrics(registry prometheus.Registerer, f *Feed) *metrics {
	m := promauto.With(registry)
	gauge := func(name, help string, value func() int) {
		m.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			f.mu.Lock()
			defer f.mu.Unlock()
			return float64(value())
		})
	}
	gauge("parley_edge_dirty_rooms", "Rooms of which there is news that has not been read yet.", func() int { return len(f.dirty) })
	gauge("parley_edge_fills_in_flight", "Rooms that are being filled from the log, or wait for a turn.", func() int { return len(f.filling) })
	m.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_edge_bells_up", Help: "1 while the connection works on which Redis tells of news."}, func() float64 {
		if f.notifications != nil && f.notifications.Healthy() {
			return 1
		}
		return 0
	})
	all := &metrics{
		filled:  m.NewCounter(prometheus.CounterOpts{Name: "parley_edge_filled_entries_total", Help: "Entries that Redis did not bring and that were read from the log."}),
		resumes: metric.Counters(registry, "parley_edge_resumes_total", "Joins with a cursor, by where the missed entries came from; refused: they could not be had.", "source", "memory", "log", "refused"),
		opens:   metric.Counters(registry, "parley_edge_room_opens_total", "Rooms opened, by how that ended.", "result", "ok", "not_found", "unavailable"),
		opening: metric.Histogram(registry, "parley_edge_room_open_seconds", "Time to open a room, waiting for a turn included.", metric.DurationBuckets()),
		filling: metric.Histograms(registry, "parley_edge_fill_seconds", "Time to read from the log what a room lacked, by whether it could be had.", metric.DurationBuckets(), "result"),
		failed:  m.NewCounter(prometheus.CounterOpts{Name: "parley_edge_stream_failures_total", Help: "Rounds in which Redis could not be read."}),
		missing: m.NewCounter(prometheus.CounterOpts{Name: "parley_edge_holes_total", Help: "Times that a room's stream lacked entries, which were then filled from the log."}),
		renewed: m.NewCounter(prometheus.CounterOpts{Name: "parley_edge_bells_renewed_total", Help: "Times that the bells' connection was renewed, since it had not told of news."}),
		read:    metric.Histogram(registry, "parley_edge_stream_read_seconds", "Time of one read of the streams of all rooms with news.", metric.DurationBuckets()),
		fanOut:  metric.Histogram(registry, "parley_edge_fanout_seconds", "From an entry's append to where it is handed to the members' outboxes, of the oldest of each room and round.", metric.DurationBuckets()),
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
func (m *metrics) resumed(j room.Join, s room.Snapshot, older []roomsapi.Entry) {
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
