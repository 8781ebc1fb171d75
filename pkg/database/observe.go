package database

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/trace"
)

// pool is what pools tell of themselves, those of one database together.
type pool struct {
	inUse, idle, opening, maxOpen int
	waits, aborts                 int64
	waited                        float64 // seconds
}

// stats reads the pool's state, which is its own to keep.
func (d *Database) stats() pool {
	if d.Postgres != nil {
		var all pool
		for _, p := range d.pools() {
			s := p.Stat()
			all.inUse += int(s.AcquiredConns())
			all.idle += int(s.IdleConns())
			all.opening += int(s.ConstructingConns())
			all.maxOpen += int(s.MaxConns())
			all.waits += s.EmptyAcquireCount()
			all.waited += s.EmptyAcquireWaitTime().Seconds()
			all.aborts += s.CanceledAcquireCount()
		}
		return all
	}
	s := d.SQLite.Stats()
	return pool{inUse: s.InUse, idle: s.Idle, maxOpen: s.MaxOpenConnections, waits: s.WaitCount, waited: s.WaitDuration.Seconds()}
}

// Register exposes the pool of a service as metrics, read once per scrape.
func (d *Database) Register(reg prometheus.Registerer, service string) error {
	name := "parley_" + service + "_database_"
	return reg.Register(&poolMetrics{
		stats:       d.stats,
		connections: prometheus.NewDesc(name+"connections", "Connections of the pool, by what they do.", []string{"state"}, nil),
		maxOpen:     prometheus.NewDesc(name+"connections_max", "How many connections there may be.", nil, nil),
		waits:       prometheus.NewDesc(name+"waits_total", "Times that one had to wait for a connection.", nil, nil),
		waited:      prometheus.NewDesc(name+"wait_seconds_total", "Time that was waited for connections.", nil, nil),
		aborts:      prometheus.NewDesc(name+"wait_aborts_total", "Waits for a connection that were given up.", nil, nil),
	})
}

type poolMetrics struct {
	stats                                       func() pool
	connections, maxOpen, waits, waited, aborts *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (m *poolMetrics) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, to) }

// Collect implements prometheus.Collector.
func (m *poolMetrics) Collect(to chan<- prometheus.Metric) {
	p := m.stats()
	to <- prometheus.MustNewConstMetric(m.connections, prometheus.GaugeValue, float64(p.inUse), "in_use")
	to <- prometheus.MustNewConstMetric(m.connections, prometheus.GaugeValue, float64(p.idle), "idle")
	to <- prometheus.MustNewConstMetric(m.connections, prometheus.GaugeValue, float64(p.opening), "opening")
	to <- prometheus.MustNewConstMetric(m.maxOpen, prometheus.GaugeValue, float64(p.maxOpen))
	to <- prometheus.MustNewConstMetric(m.waits, prometheus.CounterValue, float64(p.waits))
	to <- prometheus.MustNewConstMetric(m.waited, prometheus.CounterValue, p.waited)
	to <- prometheus.MustNewConstMetric(m.aborts, prometheus.CounterValue, float64(p.aborts))
}

// statements traces what PostgreSQL is asked within a trace: the statements, which hold no values, never
// their arguments; of an error its code, since its words may quote what was stored.
type statements struct{ tracer *trace.Tracer }

func (s *statements) begin(ctx context.Context, name, text string) context.Context {
	ctx, span := s.tracer.StartChild(ctx, trace.Client, name)
	span.SetString("db.system.name", "postgresql")
	span.SetString("db.query.text", text)
	return ctx
}

func end(ctx context.Context, err error) {
	span := trace.FromContext(ctx)
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		span.SetString("db.response.status_code", refused.Code)
	}
	span.End(err)
}

// verb is a statement's first word.
func verb(text string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	return "postgres " + strings.ToUpper(word)
}

// TraceQueryStart implements pgx.QueryTracer.
func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return s.begin(ctx, verb(data.SQL), data.SQL)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (s *statements) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	end(ctx, data.Err)
}

// TraceBatchStart implements pgx.BatchTracer.
func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	ctx = s.begin(ctx, "postgres batch", "")
	trace.FromContext(ctx).SetInt("db.operation.batch.size", int64(data.Batch.Len()))
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer: the statement's answer is there.
func (s *statements) TraceBatchQuery(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	within, span := s.tracer.StartChildSince(ctx, trace.Client, verb(data.SQL), data.ReadStartTime)
	if span.IsRecording() {
		span.SetString("db.query.text", data.SQL)
		end(within, data.Err)
	}
}

// TraceBatchEnd implements pgx.BatchTracer.
func (s *statements) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	end(ctx, data.Err)
}

// TraceAcquireStart implements pgxpool.AcquireTracer.
func (s *statements) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	ctx, _ = s.tracer.StartChild(ctx, trace.Internal, "postgres connection")
	return ctx
}

// TraceAcquireEnd implements pgxpool.AcquireTracer.
func (s *statements) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	end(ctx, data.Err)
}
