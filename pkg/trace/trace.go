// Package trace traces single messages and calls through the services. It is a thin layer over
// OpenTelemetry that starts no span for what is not sampled, so tracing costs next to nothing when it is off.
// Spans hold numbers, opaque ids and error codes, but never names, bodies, tokens or error messages.
package trace

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	otel "go.opentelemetry.io/otel/trace"

	"github.com/parley-chat/parley/pkg/chat"
)

// Kind says which side of a call or a message a span is.
type Kind = otel.SpanKind

// The kinds of spans.
const (
	Internal Kind = otel.SpanKindInternal
	Server   Kind = otel.SpanKindServer
	Client   Kind = otel.SpanKindClient
	Producer Kind = otel.SpanKindProducer
	Consumer Kind = otel.SpanKindConsumer
)

// header is the header of W3C Trace Context.
const header = "traceparent"

// Tracer starts spans. A nil Tracer starts none.
type Tracer struct{ tracer otel.Tracer }

// New returns a Tracer that uses provider, which decides what is sampled.
func New(provider otel.TracerProvider) *Tracer {
	return &Tracer{provider.Tracer("github.com/parley-chat/parley")}
}

// Start starts a span in the trace of ctx. Without one, it starts a new trace if the sampler chooses to.
func (t *Tracer) Start(ctx context.Context, kind Kind, name string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.start(ctx, kind, name, time.Time{})
}

// StartChild starts a span in the trace of ctx, and no span if ctx has no trace.
func (t *Tracer) StartChild(ctx context.Context, kind Kind, name string) (context.Context, Span) {
	return t.StartChildSince(ctx, kind, name, time.Time{})
}

// StartChildSince is StartChild for work that has already started at since.
func (t *Tracer) StartChildSince(ctx context.Context, kind Kind, name string, since time.Time) (context.Context, Span) {
	if t == nil || !otel.SpanContextFromContext(ctx).IsSampled() {
		return ctx, Span{}
	}
	return t.start(ctx, kind, name, since)
}

func (t *Tracer) start(ctx context.Context, kind Kind, name string, since time.Time) (context.Context, Span) {
	options := []otel.SpanStartOption{otel.WithSpanKind(kind)}
	if !since.IsZero() {
		options = append(options, otel.WithTimestamp(since))
	}
	within, span := t.tracer.Start(ctx, name, options...)
	if !span.IsRecording() {
		return ctx, Span{} // callees find no span, so they start none
	}
	return within, Span{span}
}

// Span is one operation in a trace. The zero Span records nothing.
type Span struct{ span otel.Span }

// IsRecording reports whether the span is recorded.
func (s Span) IsRecording() bool { return s.span != nil }

// ContextWith returns ctx with s as its current span.
func (s Span) ContextWith(ctx context.Context) context.Context {
	if s.span == nil {
		return ctx
	}
	return otel.ContextWithSpan(ctx, s.span)
}

// SetName changes the span's name.
func (s Span) SetName(name string) {
	if s.span != nil {
		s.span.SetName(name)
	}
}

// SetInt sets an attribute to a number.
func (s Span) SetInt(key string, value int64) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int64(key, value))
	}
}

// SetString sets an attribute to a text that holds no private data: a code, an opaque id, a statement without
// its values.
func (s Span) SetString(key, value string) {
	if s.span != nil {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// AddEvent adds an event that happens now.
func (s Span) AddEvent(name string) {
	if s.span != nil {
		s.span.AddEvent(name)
	}
}

// AddLink links to a span of another trace. It ignores an empty traceparent.
func (s Span) AddLink(traceparent string) {
	if s.span == nil || traceparent == "" {
		return
	}
	if other := otel.SpanContextFromContext(Extract(context.Background(), traceparent)); other.IsValid() {
		s.span.AddLink(otel.Link{SpanContext: other})
	}
}

// End ends the span. It records the code of err, but not its message.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, string(chat.CodeOf(err)))
	}
	s.span.End()
}

// Traceparent returns the header value that carries the span to another process, "" if nothing is recorded.
func (s Span) Traceparent() string {
	if s.span == nil {
		return ""
	}
	c := s.span.SpanContext()
	return "00-" + c.TraceID().String() + "-" + c.SpanID().String() + "-" + c.TraceFlags().String()
}

// TraceID returns the id of the trace, "" if nothing is recorded.
func (s Span) TraceID() string {
	if s.span == nil {
		return ""
	}
	return s.span.SpanContext().TraceID().String()
}

// FromContext returns the current span of ctx if it is recorded, else the zero Span.
func FromContext(ctx context.Context) Span {
	if span := otel.SpanFromContext(ctx); span.IsRecording() {
		return Span{span}
	}
	return Span{}
}

// Extract returns ctx in the trace of traceparent. It returns ctx itself if traceparent is malformed or its trace
// is not sampled.
func Extract(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	within := propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{header: traceparent})
	if !otel.SpanContextFromContext(within).IsSampled() {
		return ctx
	}
	return within
}

// Inject adds the trace of ctx to the headers of a call.
func Inject(ctx context.Context, h http.Header) {
	if traceparent := FromContext(ctx).Traceparent(); traceparent != "" {
		h.Set(header, traceparent)
	}
}
