package ledger

import (
	"context"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/trace"
)

// A batch carries messages of many people, of whom some are traced: each is told of in its own trace, and what they
// share in one that the others point to.
func TestEachEntryOfABatchHasItsOwnTrace(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	tracer := trace.New(sdk.NewTracerProvider(sdk.WithSyncer(spans)))
	var asked []trace.Span
	entries := make([]Entry, 4)
	for _, i := range []int{1, 3} {
		_, span := tracer.Start(t.Context(), trace.Client, "call")
		asked, entries[i].Trace = append(asked, span), span.Traceparent()
	}
	ctx, all := (&Ledger{tracer: tracer}).trace(t.Context(), entries)
	if trace.FromContext(ctx).TraceID() != asked[0].TraceID() {
		t.Error("the statements belong to nobody")
	}
	all.end([]Outcome{{}, {Seq: 7}, {}, {Err: chat.Errorf(chat.CodeForbidden, "no")}})
	if len(spans.GetSpans()) != 3 {
		t.Fatalf("%d spans", len(spans.GetSpans()))
	}
	for _, span := range spans.GetSpans() {
		switch own := span.SpanContext.TraceID().String(); {
		case span.Name == "append batch":
			if own != asked[0].TraceID() || len(span.Links) != 2 {
				t.Errorf("the batch: %s, %d links", own, len(span.Links))
			}
		case own == asked[1].TraceID():
			if span.Status.Description != "forbidden" || len(span.Links) != 1 || span.Links[0].SpanContext.TraceID().String() != asked[0].TraceID() {
				t.Errorf("the second: %+v", span)
			}
		case own != asked[0].TraceID():
			t.Errorf("%s is of a trace that nobody began", span.Name)
		}
	}
	if entries[0].Trace != "" || entries[2].Trace != "" || entries[1].Trace == asked[0].Traceparent() {
		t.Errorf("what leads on: %+v", entries)
	}
	untraced := make([]Entry, 2)
	if ctx, none := (&Ledger{tracer: tracer}).trace(context.Background(), untraced); ctx != context.Background() || none.entries != nil || none.batch.IsRecording() {
		t.Error("a batch that nobody traces is traced")
	}
}
