package trace

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/parley-chat/parley/pkg/chat"
)

// recording returns a tracer that samples that part of all traces, and what it has recorded.
func recording(t *testing.T, sample float64) (*Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans), sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(sample))))
	t.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(t.Context())) })
	return New(provider), spans
}

func TestWhatIsOffCostsNothing(t *testing.T) {
	var off *Tracer
	ctx, failed := t.Context(), errors.New("failed")
	allocated := testing.AllocsPerRun(1000, func() {
		within, span := off.Start(Extract(ctx, ""), Server, "command")
		_, inner := off.StartChildSince(within, Client, "call", time.Time{})
		span.SetInt("n", 1)
		span.SetString("t", "x")
		span.AddLink(inner.Traceparent())
		inner.End(failed)
		span.End(nil)
		if span.IsRecording() || span.TraceID() != "" {
			t.Error("recorded")
		}
	})
	if allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}

func TestASpanGoesOnInAnotherProcess(t *testing.T) {
	tracer, spans := recording(t, 1)
	_, first := tracer.Start(t.Context(), Server, "first")
	_, second := tracer.StartChild(Extract(t.Context(), first.Traceparent()), Client, "second")
	second.End(chat.Errorf(chat.CodeUnavailable, "who knows what it says"))
	first.End(nil)
	got := spans.GetSpans()
	if len(got) != 2 || got[0].Parent.SpanID() != got[1].SpanContext.SpanID() || got[0].SpanContext.TraceID().String() != first.TraceID() {
		t.Fatalf("%+v", got)
	}
	if got[0].Status.Description != "unavailable" {
		t.Errorf("an error is told by its code, not by %q", got[0].Status.Description)
	}
}

func TestOnlyWhatIsSampledIsFollowed(t *testing.T) {
	tracer, spans := recording(t, 0)
	ctx, span := tracer.Start(t.Context(), Server, "command")
	_, followed := tracer.StartChild(ctx, Client, "call")
	_, unasked := tracer.StartChild(t.Context(), Client, "by itself")
	header := http.Header{}
	Inject(ctx, header)
	if span.IsRecording() || followed.IsRecording() || unasked.IsRecording() || span.Traceparent() != "" || len(header) != 0 || ctx != t.Context() {
		t.Error("recorded what is not sampled")
	}
	if got := spans.GetSpans(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// Whatever stands where a traceparent should, it is one of ours, or none.
func FuzzFrom(f *testing.F) {
	for _, seed := range []string{
		"", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-x",
	} {
		f.Add(seed)
	}
	provider := sdk.NewTracerProvider(sdk.WithSyncer(tracetest.NewNoopExporter()))
	tracer := New(provider)
	f.Fuzz(func(t *testing.T, traceparent string) {
		ctx := Extract(t.Context(), traceparent)
		_, span := tracer.StartChild(ctx, Consumer, "read")
		if span.IsRecording() != (ctx != t.Context()) {
			t.Errorf("%q: recorded is %v", traceparent, span.IsRecording())
		}
		if span.IsRecording() && (len(traceparent) < 55 || traceparent[3:35] != span.TraceID()) {
			t.Errorf("%q is trace %s", traceparent, span.TraceID())
		}
		span.End(nil)
	})
}
