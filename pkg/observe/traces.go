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

// TraceConfig says whether messages and calls are traced, and how many.
type TraceConfig struct {
	Endpoint string // "" is off
	Sample   float64
}

// TraceConfigFrom reads PARLEY_TRACES and PARLEY_TRACES_SAMPLE.
func TraceConfigFrom(r *env.Reader) TraceConfig {
	c := TraceConfig{
		Endpoint: r.String("PARLEY_TRACES", "", "Where traces are sent to, by OTLP over HTTP, such as `http://collector:4318`; empty is off."),
		Sample:   r.Float("PARLEY_TRACES_SAMPLE", 0.01, "Which part of all messages and calls is traced, 0 to 1."),
	}
	if c.Sample > 1 {
		r.Mistake("PARLEY_TRACES_SAMPLE: %v is more than 1, which is all", c.Sample)
	}
	if _, err := tracesURL(c.Endpoint); c.Endpoint != "" && err != nil {
		r.Mistake("PARLEY_TRACES: %v", err)
	}
	return c
}

// tracesURL is where spans go: to the path that the URL has, or to the usual one.
func tracesURL(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("it is no http or https URL")
	}
	if strings.Trim(u.Path, "/") == "" {
		u = u.JoinPath("/v1/traces")
	}
	return u.String(), nil
}

// Traces sends what a Tracer has recorded to a collector. It is a part of the process, the first to start and
// the last to stop.
type Traces struct{ provider *sdk.TracerProvider }

// sendTimeout bounds one call of the collector, and what a process that stops waits for it.
const sendTimeout = 5 * time.Second

// NewTraces makes the tracer of a service, nil where tracing is off. It connects to nothing: a collector may be
// away at any time, which costs spans and nothing else.
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
	otel.SetErrorHandler(&complaints{log: log}) // OpenTelemetry has one for the whole process
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(exporter),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(c.Sample))),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "parley-"+service), attribute.String("service.namespace", "parley"), attribute.String("service.version", ThisBuild().Version))),
	)
	return &Traces{provider}, trace.New(provider), nil
}

// Run waits for ctx to end and sends what is left.
func (t *Traces) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	if t.provider == nil {
		return nil
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	_ = t.provider.Shutdown(stopping) // a collector that is away must not look like a service that failed
	return nil
}

// complaints logs that spans could not be sent, not each time.
type complaints struct {
	log  *slog.Logger
	last atomic.Int64 // Unix seconds
}

// complainEvery is how often it is said.
const complainEvery = 60

// Handle implements otel.ErrorHandler.
func (c *complaints) Handle(err error) {
	now, last := time.Now().Unix(), c.last.Load()
	if now-last >= complainEvery && c.last.CompareAndSwap(last, now) {
		c.log.Warn("traces are not sent", slog.Any("error", err))
	}
}
