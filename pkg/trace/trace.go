// Package trace follows single messages and calls through the services. It is a thin layer over
// OpenTelemetry: what is not sampled, and all where tracing is off, costs next to nothing, since it is
// never begun. Spans hold numbers, opaque ids and codes of errors: never names, bodies, tokens or the
// words of an error.
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

// header is the one of W3C Trace Context, and the name of what carries it elsewhere.
const header = "traceparent"

// Tracer begins spans. A nil Tracer is one that is off.
type Tracer struct{ tracer otel.Tracer }

// New makes a Tracer of provider, which decides what is sampled.
func New(provider otel.TracerProvider) *Tracer {
	return &Tracer{provider.Tracer("github.com/parley-chat/parley")}
}

// Begin begins a trace, if the sampler wants one; within one that ctx carries, it goes on with it.
func (t *Tracer) Begin(ctx context.Context, kind Kind, name string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.start(ctx, kind, name, time.Time{})
}

// Follow begins a span within the trace that ctx carries; where there is none, nothing.
func (t *Tracer) Follow(ctx context.Context, kind Kind, name string) (context.Context, Span) {
	return t.FollowSince(ctx, kind, name, time.Time{})
}

// FollowSince is Follow of what began at since.
func (t *Tracer) FollowSince(ctx context.Context, kind Kind, name string, since time.Time) (context.Context, Span) {
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
		return ctx, Span{} // what is called in it need not look
	}
	return within, Span{span}
}

// Span is a piece of a trace. The zero Span records nothing.
type Span struct{ span otel.Span }

// Recorded says whether anybody will see the span.
func (s Span) Recorded() bool { return s.span != nil }

// In returns ctx within the span.
func (s Span) In(ctx context.Context) context.Context {
	if s.span == nil {
		return ctx
	}
	return otel.ContextWithSpan(ctx, s.span)
}

// Name gives the span another name.
func (s Span) Name(name string) {
	if s.span != nil {
		s.span.SetName(name)
	}
}

// Int notes a number.
func (s Span) Int(key string, value int64) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int64(key, value))
	}
}

// Text notes what must be private to nobody: a code, an opaque id, a statement without its values.
func (s Span) Text(key, value string) {
	if s.span != nil {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// Event notes a moment.
func (s Span) Event(name string) {
	if s.span != nil {
		s.span.AddEvent(name)
	}
}

// Link points to a span of another trace; "" is none.
func (s Span) Link(traceparent string) {
	if s.span == nil || traceparent == "" {
		return
	}
	if other := otel.SpanContextFromContext(From(context.Background(), traceparent)); other.IsValid() {
		s.span.AddLink(otel.Link{SpanContext: other})
	}
}

// End ends the span. Of an error it tells the code.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, string(chat.CodeOf(err)))
	}
	s.span.End()
}

// Parent is what carries the span to another process, "" where nothing is recorded.
func (s Span) Parent() string {
	if s.span == nil {
		return ""
	}
	c := s.span.SpanContext()
	return "00-" + c.TraceID().String() + "-" + c.SpanID().String() + "-" + c.TraceFlags().String()
}

// TraceID names the trace, "" where nothing is recorded.
func (s Span) TraceID() string {
	if s.span == nil {
		return ""
	}
	return s.span.SpanContext().TraceID().String()
}

// Of returns the span that ctx carries, if it is recorded here.
func Of(ctx context.Context) Span {
	if span := otel.SpanFromContext(ctx); span.IsRecording() {
		return Span{span}
	}
	return Span{}
}

// From returns ctx within the trace that traceparent names. What is malformed, or not sampled, is none.
func From(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	within := propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{header: traceparent})
	if !otel.SpanContextFromContext(within).IsSampled() {
		return ctx
	}
	return within
}

// Inject has a call carry the trace of ctx.
func Inject(ctx context.Context, h http.Header) {
	if parent := Of(ctx).Parent(); parent != "" {
		h.Set(header, parent)
	}
}
