package observe

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/trace"
)

// stopped runs t to its end, with which all spans have been sent.
func stopped(ctx context.Context, t *Traces) error {
	ctx, stop := context.WithCancel(ctx)
	stop()
	return t.Run(ctx, func() {})
}

func TestSpansAreSentToTheCollector(t *testing.T) {
	var got traces.TracesData
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := proto.Unmarshal(body, &got); err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Error(r.URL, r.Header, err)
		}
	}))
	defer collector.Close()
	sent, tracer, err := NewTraces(t.Context(), TraceConfig{Endpoint: collector.URL, Sample: 1}, "edge", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracer.Start(t.Context(), trace.Server, "command send")
	span.End(nil)
	if err := stopped(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	if got.String() == "" || got.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0].GetName() != "command send" {
		t.Error(got.String())
	}
	if !strings.Contains(got.GetResourceSpans()[0].GetResource().String(), "parley-edge") {
		t.Error("it does not say whose they are:", got.GetResourceSpans()[0].GetResource())
	}
}

func TestACollectorThatIsAwayIsSaidOnce(t *testing.T) {
	away := httptest.NewServer(http.NotFoundHandler())
	defer away.Close()
	var log bytes.Buffer
	sent, tracer, err := NewTraces(t.Context(), TraceConfig{Endpoint: away.URL + "/elsewhere", Sample: 1}, "edge", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 { // more than one batch
		_, span := tracer.Start(t.Context(), trace.Server, "command")
		span.End(nil)
	}
	if err := stopped(t.Context(), sent); err != nil {
		t.Error("a process fails for it:", err)
	}
	if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "404") {
		t.Error(log.String())
	}
}

func TestTracesAreOffByDefault(t *testing.T) {
	r := env.New(func(string) (string, bool) { return "", false })
	sent, tracer, err := NewTraces(t.Context(), TraceConfigFrom(r), "edge", slog.New(slog.DiscardHandler))
	if err != nil || tracer != nil || stopped(t.Context(), sent) != nil {
		t.Error(tracer, err)
	}
	wrong := map[string]string{"PARLEY_TRACES": "collector:4318", "PARLEY_TRACES_SAMPLE": "1.5"}
	r = env.New(func(name string) (string, bool) { v, ok := wrong[name]; return v, ok })
	if TraceConfigFrom(r); r.Err() == nil || !strings.Contains(r.Err().Error(), "2 mistake(s)") {
		t.Error(r.Err())
	}
}
