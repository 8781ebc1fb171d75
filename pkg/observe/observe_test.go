package observe

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/trace"
)

func TestAdminTellsLifeAndReadiness(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	readiness := &Readiness{}
	registry := NewRegistry(readiness)
	admin := &Admin{Listener: listener, Registry: registry, Readiness: readiness}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- admin.Run(ctx, func() {}) }()
	get := func(path string, accept ...string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header["Accept"] = accept
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if code, _ := get("/livez"); code != 200 {
		t.Error("livez", code)
	}
	if code, body := get("/readyz"); code != 503 || body != "not ready\nthe process is starting or stopping\n" {
		t.Error("readyz before ready", code, body)
	}
	readiness.Set(true)
	readiness.NotReady("database", "it is away")
	readiness.NotReady("another", "so it is")
	if code, body := get("/readyz"); code != 503 || body != "not ready\nanother: so it is\ndatabase: it is away\n" {
		t.Error("readyz with reasons", code, body)
	}
	readiness.NotReady("another", "")
	readiness.NotReady("database", "")
	if code, body := get("/readyz"); code != 200 || body != "ok\n" {
		t.Error("readyz", code, body)
	}
	readiness.Warn("redis", "it refuses us")
	if code, body := get("/readyz"); code != 200 || body != "ok\nwarning: redis: it refuses us\n" {
		t.Error("readyz with a warning", code, body)
	}
	readiness.Warn("redis", "")
	if code, body := get("/metrics"); code != 200 || !strings.Contains(body, "go_goroutines") || !strings.Contains(body, "\nparley_ready 1\n") || !strings.Contains(body, "\nparley_build_info{") {
		t.Error("metrics", code)
	}
	metric.Observe(metric.Histogram(registry, "parley_test_seconds", "Help.", metric.DurationBuckets()), 1, "0af7651916cd43dd8448eb211c80319c")
	if _, body := get("/metrics", "application/openmetrics-text;version=1.0.0"); !strings.Contains(body, `# {trace_id="0af7651916cd43dd8448eb211c80319c"}`) {
		t.Error("Prometheus gets no exemplars:", body)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestALineTellsItsRequestAndItsTrace(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger(&out, LogConfig{Format: "json"}).With("service", "edge")
	provider := sdk.NewTracerProvider()
	ctx, span := trace.New(provider).Start(WithRequest(t.Context(), "R1"), trace.Server, "request")
	log.InfoContext(ctx, "within")
	log.Info("outside")
	within, outside, _ := strings.Cut(out.String(), "\n")
	if !strings.Contains(within, `"request_id":"R1"`) || !strings.Contains(within, `"trace_id":"`+span.TraceID()+`"`) || !strings.Contains(within, `"service":"edge"`) {
		t.Error(within)
	}
	if strings.Contains(outside, "_id") {
		t.Error(outside)
	}
}

func TestABuildSaysWhatItIs(t *testing.T) {
	version, commit, date = "v1.2.3", "abc", "2026-01-02"
	defer func() { version, commit, date = "", "", "" }()
	if got := ThisBuild().String(); !strings.HasPrefix(got, "parley v1.2.3 (commit abc of 2026-01-02, go1.") {
		t.Error(got)
	}
	version, commit, date = "", "", ""
	if b := ThisBuild(); b.Version == "" || b.Commit == "" || b.Date == "" {
		t.Errorf("without stamps: %+v", b)
	}
}

func TestLogLevelAndFormat(t *testing.T) {
	values := map[string]string{"PARLEY_LOG_LEVEL": "warn", "PARLEY_LOG_FORMAT": "text"}
	r := env.New(func(n string) (string, bool) { v, ok := values[n]; return v, ok })
	var out bytes.Buffer
	log := NewLogger(&out, LogConfigFrom(r, "json"))
	log.Info("unseen")
	log.Warn("seen")
	if r.Err() != nil || strings.Contains(out.String(), "unseen") || !strings.Contains(out.String(), "msg=seen") {
		t.Error(r.Err(), out.String())
	}
	values["PARLEY_LOG_LEVEL"] = "loud"
	if LogConfigFrom(r, "json"); r.Err() == nil {
		t.Error("a wrong level is no mistake")
	}
}
