package database

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/parley-chat/parley/pkg/trace"
)

func TestBothPoolsAreMeasuredAlike(t *testing.T) {
	for _, name := range []string{"sqlite:" + filepath.Join(t.TempDir(), "x.db"), os.Getenv("PARLEY_TEST_POSTGRES")} {
		db, err := Open(t.Context(), name, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		registry := prometheus.NewRegistry()
		if err = db.Register(registry, "test"); err != nil {
			t.Fatal(err)
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				key := strings.TrimPrefix(family.GetName(), "parley_test_database_")
				for _, label := range m.GetLabel() {
					key += " " + label.GetValue()
				}
				got[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
		if len(got) != 7 || got["connections idle"] < 1 || got["connections in_use"] != 0 || got["connections_max"] < 8 {
			t.Error(got)
		}
	}
}

func TestStatementsAreTracedWithoutTheirValues(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	tracer := trace.New(sdk.NewTracerProvider(sdk.WithSyncer(spans)))
	db, err := Open(t.Context(), os.Getenv("PARLEY_TEST_POSTGRES"), tracer, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if got := spans.GetSpans(); len(got) != 0 {
		t.Fatalf("traced outside of any trace: %d", len(got))
	}
	const secret = "sesame"
	ctx, span := tracer.Start(t.Context(), trace.Server, "call")
	if _, err := db.Postgres.Exec(ctx, `SELECT $1::text`, secret); err != nil {
		t.Error(err)
	}
	if _, err := db.Postgres.Exec(ctx, `SELECT $1::text::int`, secret); err == nil || !strings.Contains(err.Error(), secret) {
		t.Error("PostgreSQL's words are harmless:", err)
	}
	batch := &pgx.Batch{}
	batch.Queue(`SELECT length($1)`, secret)
	batch.Queue(`SELECT upper($1)`, secret)
	if err := db.Postgres.SendBatch(ctx, batch).Close(); err != nil {
		t.Error(err)
	}
	span.End(nil)
	names := map[string]int{}
	for _, s := range spans.GetSpans() {
		names[s.Name]++
		if text := fmt.Sprintf("%+v %+v %+v %s", s.Attributes, s.Events, s.Status, s.Name); strings.Contains(text, secret) {
			t.Error("a value is in a span:", text)
		}
		if s.SpanContext.TraceID().String() != span.TraceID() {
			t.Error("another trace:", s.Name)
		}
	}
	if names["postgres SELECT"] != 4 || names["postgres batch"] != 1 || names["postgres connection"] != 3 || names["call"] != 1 {
		t.Error(names)
	}
}
