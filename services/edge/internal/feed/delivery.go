package feed

import (
	"context"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// traceEntries begins the spans of the entries that are traced: from the read that brings them, begun at start, to
// their being handed over.
func (f *Feed) traceEntries(ctx context.Context, r *room.Room, entries []roomsapi.Entry, start time.Time) (spans []trace.Span) {
	for i := range entries {
		if entries[i].Traceparent == "" {
			continue
		}
		_, span := f.Tracer.StartChildSince(trace.Extract(ctx, entries[i].Traceparent), trace.Consumer, "fan out", start)
		if !span.IsRecording() {
			continue
		}
		span.AddEvent("read")
		span.SetInt("parley.room", int64(r.ID))
		span.SetInt("parley.seq", int64(entries[i].Seq))
		spans = append(spans, span)
	}
	return spans
}

// measureDelivery measures the way of what has been handed over: of entries, those up to head.
func (f *Feed) measureDelivery(entries []roomsapi.Entry, head chat.Seq, spans []trace.Span) {
	traceID := ""
	for _, span := range spans {
		span.End(nil)
		traceID = span.TraceID()
	}
	if len(entries) > 0 && entries[0].Seq <= head && entries[0].AtMS != 0 {
		metric.Observe(f.metrics.fanOut, max(0, time.Since(time.UnixMilli(entries[0].AtMS)).Seconds()), traceID)
	}
}
