package ledger

import (
	"context"

	"github.com/parley-chat/parley/pkg/trace"
)

// traced are the spans of a batch. Its statements are the batch's, whichever of its entries are traced: so the
// batch is a span in the trace that it came with, linked to the others, and each entry one in its own.
type traced struct {
	batch   trace.Span
	entries map[int]trace.Span // by their place in the batch
}

// trace begins the spans of the entries that are traced, which from then on lead on to those who publish them.
func (l *Ledger) trace(ctx context.Context, entries []Entry) (context.Context, traced) {
	first := 0
	for first < len(entries) && entries[first].Trace == "" {
		first++
	}
	if first == len(entries) {
		return ctx, traced{}
	}
	if !trace.FromContext(ctx).IsRecording() { // the call did not tell
		ctx = trace.Extract(ctx, entries[first].Trace)
	}
	t := traced{entries: make(map[int]trace.Span)}
	ctx, t.batch = l.tracer.StartChild(ctx, trace.Internal, "append batch")
	t.batch.SetInt("parley.batch.entries", int64(len(entries)))
	for i := first; i < len(entries); i++ {
		e := &entries[i]
		if e.Trace == "" {
			continue
		}
		_, span := l.tracer.StartChild(trace.Extract(ctx, e.Trace), trace.Server, "append entry")
		if !span.IsRecording() {
			continue
		}
		span.SetInt("parley.room", int64(e.Room))
		span.AddLink(t.batch.Traceparent())
		t.batch.AddLink(span.Traceparent())
		t.entries[i], e.Trace = span, span.Traceparent()
	}
	return ctx, t
}

func (t traced) end(outcomes []Outcome) {
	for i, span := range t.entries {
		span.SetInt("parley.seq", int64(outcomes[i].Seq))
		span.End(outcomes[i].Err)
	}
	t.batch.End(nil)
}
