package tailer

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/services/edge/internal/hub"
)

type metrics struct {
	failed, missing, renewed prometheus.Counter
	read, fanOut             prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, t *Tailer) metrics {
	m := promauto.With(reg)
	gauge := func(name, help string, value func() int) {
		m.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			t.mu.Lock()
			defer t.mu.Unlock()
			return float64(value())
		})
	}
	gauge("parley_edge_dirty_rooms", "Rooms of which there is news that has not been read yet.", func() int { return len(t.dirty) })
	gauge("parley_edge_fills_in_flight", "Rooms that are being filled from the log, or wait for a turn.", func() int { return len(t.filling) })
	m.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_edge_bells_up", Help: "1 while the connection works on which Redis tells of news."}, func() float64 {
		if t.bells != nil && t.bells.Healthy() {
			return 1
		}
		return 0
	})
	return metrics{
		failed:  m.NewCounter(prometheus.CounterOpts{Name: "parley_edge_stream_failures_total", Help: "Rounds in which Redis could not be read."}),
		missing: m.NewCounter(prometheus.CounterOpts{Name: "parley_edge_holes_total", Help: "Times that a room's stream lacked entries, which were then filled from the log."}),
		renewed: m.NewCounter(prometheus.CounterOpts{Name: "parley_edge_bells_renewed_total", Help: "Times that the bells' connection was renewed, since it had not told of news."}),
		read:    metric.Histogram(reg, "parley_edge_stream_read_seconds", "Time of one read of the streams of all rooms with news.", metric.DurationBuckets()),
		fanOut:  metric.Histogram(reg, "parley_edge_fanout_seconds", "From an entry's append to where it is handed to the members' outboxes, of the oldest of each room and round.", metric.DurationBuckets()),
	}
}

// follow begins the spans of the entries that are traced: from the read that brings them, begun at start, to
// their being handed over.
func (t *Tailer) follow(ctx context.Context, room *hub.Room, entries []roomsapi.Entry, start time.Time) (spans []trace.Span) {
	for i := range entries {
		if entries[i].Traceparent == "" {
			continue
		}
		_, span := t.Tracer.StartChildSince(trace.Extract(ctx, entries[i].Traceparent), trace.Consumer, "fan out", start)
		if !span.IsRecording() {
			continue
		}
		span.AddEvent("read")
		span.SetInt("parley.room", int64(room.ID))
		span.SetInt("parley.seq", int64(entries[i].Seq))
		spans = append(spans, span)
	}
	return spans
}

// delivered measures the way of what has been handed over: of entries, those up to head.
func (t *Tailer) delivered(entries []roomsapi.Entry, head chat.Seq, spans []trace.Span) {
	traceID := ""
	for _, span := range spans {
		span.End(nil)
		traceID = span.TraceID()
	}
	if len(entries) > 0 && entries[0].Seq <= head && entries[0].AtMS != 0 {
		metric.Observe(t.metrics.fanOut, max(0, time.Since(time.UnixMilli(entries[0].AtMS)).Seconds()), traceID)
	}
}
