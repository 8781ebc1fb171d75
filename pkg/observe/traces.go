package observe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/trace"
)

// TraceConfig configures tracing.
type TraceConfig struct {
	Endpoint string  // "" is off
	Sample   float64 // share of messages and calls, 0 to 1
}

// TraceConfigFrom reads PARLEY_TRACES and PARLEY_TRACES_SAMPLE.
func TraceConfigFrom(r *env.Reader) TraceConfig {
	c := TraceConfig{
		Endpoint: r.String("PARLEY_TRACES", "", "The OpenTelemetry collector that receives traces by OTLP over HTTP, such as `http://collector:4318`. Empty turns tracing off."),
		Sample:   r.Float("PARLEY_TRACES_SAMPLE", 0.01, "The share of messages and calls that is traced, from 0 to 1."),
	}
	if c.Sample > 1 {
		r.Mistake("PARLEY_TRACES_SAMPLE: %v is more than 1; 1 traces everything", c.Sample)
	}
	if _, err := tracesURL(c.Endpoint); c.Endpoint != "" && err != nil {
		r.Mistake("PARLEY_TRACES: %v", err)
	}
	return c
}

// tracesURL returns the URL that spans are sent to: the endpoint, with the standard path if it has none.
func tracesURL(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("it is not an http or https URL")
	}
	if strings.Trim(u.Path, "/") == "" {
		u = u.JoinPath("/v1/traces")
	}
	return u.String(), nil
}

// Traces sends the spans of a Tracer to a collector. It is the first part of the process to start and the last
// to stop.
type Traces struct{ provider *sdk.TracerProvider }

// sendTimeout bounds one call of the collector, and how long a stopping process waits for the last one.
const sendTimeout = 5 * time.Second

// NewTraces makes the tracer of a service; the tracer is nil if tracing is off. It does not connect yet. If the
// collector is unreachable, spans are lost and nothing else fails.
func NewTraces(ctx context.Context, c TraceConfig, service string, log *slog.Logger) (*Traces, *trace.Tracer, error) {
	if c.Endpoint == "" {
		return &Traces{}, nil, nil
	}
	endpoint, err := tracesURL(c.Endpoint)
	if err != nil {
		return nil, nil, fmt.Errorf("PARLEY_TRACES: %w", err)
	}
	exporter, err := otlptrace.New(ctx, &collector{url: endpoint})
	if err != nil {
		return nil, nil, fmt.Errorf("PARLEY_TRACES: %w", err)
	}
	otel.SetErrorHandler(&errorLogger{log: log}) // OpenTelemetry has one handler for the whole process
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(exporter),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(c.Sample))),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "parley-"+service), attribute.String("service.namespace", "parley"), attribute.String("service.version", ThisBuild().Version))),
	)
	return &Traces{provider}, trace.New(provider), nil
}

// Run waits for ctx to end and then sends the remaining spans.
func (t *Traces) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	if t.provider == nil {
		return nil
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	_ = t.provider.Shutdown(stopping) // an unreachable collector is not a failure of the service
	return nil
}

// errorLogger logs that spans could not be sent, at most once per errorLogInterval.
type errorLogger struct {
	log  *slog.Logger
	last atomic.Int64 // Unix seconds
}

const errorLogInterval = 60 // seconds

// Handle implements otel.ErrorHandler.
func (l *errorLogger) Handle(err error) {
	now, last := time.Now().Unix(), l.last.Load()
	if now-last >= errorLogInterval && l.last.CompareAndSwap(last, now) {
		l.log.Warn("spans are lost: the trace collector is unreachable or refuses them", slog.Any("error", err))
	}
}
