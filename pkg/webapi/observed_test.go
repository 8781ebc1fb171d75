package webapi

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/observe"
	"github.com/parley-chat/parley/pkg/trace"
)

// lines are a log's, in JSON.
func lines(t *testing.T, log *bytes.Buffer, message string) (found []map[string]any) {
	t.Helper()
	for line := range strings.Lines(log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if fields["msg"] == message {
			found = append(found, fields)
		}
	}
	return found
}

func TestAllLinesOfARequestTellItsID(t *testing.T) {
	var out bytes.Buffer
	log := observe.NewLogger(&out, observe.LogConfig{Level: slog.LevelDebug, Format: "json"})
	a := New(Options{Service: "test", Log: log, Registry: prometheus.NewRegistry()})
	a.Get("/bug", func(c *fiber.Ctx) error {
		ctx, cancel := context.WithCancel(c.UserContext()) // as handlers do
		defer cancel()
		log.InfoContext(ctx, "inside")
		return context.Canceled
	})
	response, _ := do(t, a, "GET", "/bug?secret=1", "")
	id := response.Header.Get("X-Request-Id")
	for _, message := range []string{"inside", "request failed", "request"} {
		if got := lines(t, &out, message); len(got) != 1 || id == "" || got[0]["request_id"] != id {
			t.Errorf("%s: %v, want %s", message, got, id)
		}
	}
	if strings.Contains(out.String(), "secret") {
		t.Error("a query is in the log:", out.String())
	}
}

func TestSomeRefusalsAreLoggedAndAllCounted(t *testing.T) {
	var out bytes.Buffer
	a := New(Options{Service: "test", Log: observe.NewLogger(&out, observe.LogConfig{Format: "json"}), Registry: prometheus.NewRegistry()})
	refuse := func(code chat.Code) fiber.Handler {
		return func(*fiber.Ctx) error { return chat.Errorf(code, "no") }
	}
	a.Post("/login", refuse(chat.CodeUnauthenticated))
	a.Get("/me", refuse(chat.CodeUnauthenticated))
	a.Get("/other", refuse(chat.CodeForbidden))
	for range 1000 {
		do(t, a, "POST", "/login", "{}")
	}
	do(t, a, "GET", "/me", "")
	do(t, a, "GET", "/other", "")
	logged := map[any]int{}
	for _, line := range lines(t, &out, "request refused") {
		logged[line["route"]]++
		if line["client"] != "0.0.0.0" || line["request_id"] == "" {
			t.Error(line)
		}
	}
	if logged["/login"] < refusalBurst || logged["/login"] > 500 || logged["/other"] != 1 || logged["/me"] != 0 {
		t.Error(logged)
	}
}

func TestStrangersDoNotChooseWhatIsTraced(t *testing.T) {
	const caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, c := range map[string]struct {
		internal    bool
		sample      float64
		traceparent string
		spans       int
		goesOn      bool
	}{
		"a stranger who asks for it":       {false, 0, caller, 0, false},
		"a stranger's own trace":           {false, 1, caller, 1, false},
		"what is sampled":                  {false, 1, "", 1, false},
		"another service in a trace":       {true, 0, caller, 1, true},
		"another service outside of one":   {true, 1, "", 0, false},
		"another service with a malformed": {true, 1, "00-x", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			spans := tracetest.NewInMemoryExporter()
			provider := sdk.NewTracerProvider(sdk.WithSyncer(spans), sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(c.sample))))
			a := New(Options{Service: "test", Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Tracer: trace.New(provider), Internal: c.internal})
			a.Get("/rooms/:slug", func(*fiber.Ctx) error { return nil })
			do(t, a, "GET", "/rooms/private", "", "Traceparent", c.traceparent)
			got := spans.GetSpans()
			if len(got) != c.spans {
				t.Fatalf("%d spans", len(got))
			}
			for _, span := range got {
				if goesOn := strings.Contains(caller, span.SpanContext.TraceID().String()); span.Name != "GET /rooms/:slug" || goesOn != c.goesOn {
					t.Errorf("%s, goes on: %v", span.Name, goesOn)
				}
			}
		})
	}
}
