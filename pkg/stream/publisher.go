package stream

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/trace"
)

// Bounds of a room's stream and of what waits to be published.
const (
	maxStreamEntries = 512              // about; older ones are read from the log
	maxCarriedBytes  = 4 << 10          // larger bodies stay out: the entry says so and is read from the log
	streamExpiry     = 10 * time.Minute // after the last entry: edges have read it in seconds
	maxQueuedBytes   = 32 << 20
	publishTimeout   = 2 * time.Second
)

// The fields of an entry in a stream. Readers pass over fields that they do not know.
const (
	fieldKind    = "k"
	fieldMessage = "m"
	fieldEvent   = "e" // missing where the event is too large to be carried
	fieldState   = "s"
	fieldAt      = "t"
	fieldTrace   = "p" // a traceparent, of the few entries that are traced
)

// Publisher writes committed entries to their rooms' streams and notifies of them, many in one
// pipeline. It never makes its caller wait: what does not fit its queue, or what Redis refuses, is
// counted and left to the edges, which fill it from the log.
type Publisher struct {
	client redis.UniversalClient
	log    *slog.Logger
	// Tracer is set before Run; nil is none.
	Tracer *trace.Tracer

	lost *prometheus.CounterVec
	took prometheus.Histogram
	lag  prometheus.Histogram

	away  bool    // Redis failed last time; of Run alone
	drops dropper // of Run alone

	mu     sync.Mutex
	queue  []publication
	queued int // bytes
	wake   chan struct{}
}

// publication is a run of entries of one room, or the order to drop its stream first.
type publication struct {
	room    Room
	entries []roomsapi.Entry
	drop    bool
	since   time.Time
}

// NewPublisher makes a Publisher; Run does its work.
func NewPublisher(client redis.UniversalClient, log *slog.Logger, registry prometheus.Registerer) *Publisher {
	p := &Publisher{
		client: client, log: log, wake: make(chan struct{}, 1), drops: newDropper(),
		lost: metric.Counters(registry, "parley_rooms_publish_lost_total", "Entries that did not get to Redis, which edges then fill from the log, by reason.", "reason", "full", "order", "redis"),
		took: metric.Histogram(registry, "parley_rooms_publish_seconds", "Time of one pipeline of entries and bells.", prometheus.ExponentialBuckets(0.0002, 2.5, 12)),
		lag:  metric.Histogram(registry, "parley_rooms_publish_lag_seconds", "From the commit to the end of the pipeline, of the oldest entry in it.", metric.DurationBuckets()),
	}
	metrics := promauto.With(registry)
	metrics.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_rooms_publish_queue_bytes", Help: "Bytes that wait to be published."}, func() float64 {
		p.mu.Lock()
		defer p.mu.Unlock()
		return float64(p.queued)
	})
	metrics.NewGauge(prometheus.GaugeOpts{Name: "parley_rooms_publish_queue_bytes_max", Help: "How many there may be; what comes then is left to be filled from the log."}).Set(maxQueuedBytes)
	return p
}

// Publish queues committed entries of one room, in the order of their seqs.
func (p *Publisher) Publish(tenant chat.TenantID, log chat.LogID, entries []roomsapi.Entry) {
	p.enqueue(publication{room: Room{tenant, log}, entries: entries})
}

// Drop queues the deletion of a room's stream, so that a deleted body can't be read there. It is tried until it is
// done, and nothing is added to the stream before.
func (p *Publisher) Drop(tenant chat.TenantID, log chat.LogID) {
	p.enqueue(publication{room: Room{tenant, log}, drop: true})
}

func (p *Publisher) enqueue(one publication) {
	one.since = time.Now()
	size := 64
	for i := range one.entries {
		size += len(one.entries[i].Event) + len(one.entries[i].State) + 64
	}
	p.mu.Lock()
	fits := one.drop || p.queued+size <= maxQueuedBytes
	if fits {
		p.queue = append(p.queue, one)
		p.queued += size
	}
	p.mu.Unlock()
	if !fits {
		p.lost.WithLabelValues("full").Add(float64(len(one.entries)))
		return
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run publishes until ctx ends; what is queued then is still tried once.
func (p *Publisher) Run(ctx context.Context, ready func()) error {
	ready()
	again := time.NewTimer(dropAgain)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			p.publish(context.WithoutCancel(ctx), p.take())
			return nil
		case <-p.wake:
		case <-again.C:
		}
		p.publish(context.WithoutCancel(ctx), p.take())
		again.Stop()
		if len(p.drops.owed) > 0 {
			again.Reset(dropAgain)
		}
	}
}

func (p *Publisher) take() []publication {
	p.mu.Lock()
	defer p.mu.Unlock()
	batch := p.queue
	p.queue, p.queued = nil, 0
	return batch
}

func (p *Publisher) publish(ctx context.Context, batch []publication) {
	if len(batch) == 0 && len(p.drops.owed) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	pipe := p.client.Pipeline()
	heads, dropped := map[Room]chat.Seq{}, drops{}
	var spans []trace.Span
	for _, one := range batch {
		if one.drop && !p.drops.owe(one.room) {
			p.log.ErrorContext(ctx, "too many streams with deleted messages wait to be dropped; this one goes when it expires")
		}
		if one.drop || len(one.entries) > 0 {
			p.drops.before(ctx, pipe, one.room, dropped)
		}
		for i := range one.entries {
			spans = p.follow(ctx, spans, one, &one.entries[i])
			add(ctx, pipe, one.room, &one.entries[i])
			heads[one.room] = max(heads[one.room], one.entries[i].Seq)
		}
	}
	for room, head := range heads {
		pipe.Expire(ctx, room.Key("room"), streamExpiry)
		notify(ctx, p.client, pipe, room, strconv.FormatInt(int64(head), 10))
	}
	p.drops.overdue(ctx, pipe, dropped)
	start := time.Now()
	commands, _ := pipe.Exec(ctx) // each command has its error
	metric.Since(p.took, start, "")
	if len(batch) > 0 {
		metric.Since(p.lag, batch[0].since, "")
	}
	p.drops.done(ctx, p.log, dropped)
	p.measure(ctx, commands, spans)
}

// measure takes in what Redis has said to each command.
func (p *Publisher) measure(ctx context.Context, commands []redis.Cmder, spans []trace.Span) {
	var away error
	for _, command := range commands {
		switch refused := command.Err(); {
		case refused == nil:
		case isOrder(refused): // another pod has overtaken this seq, which edges fill from the log
			p.lost.WithLabelValues("order").Inc()
		default:
			away = refused
			if command.Name() == "xadd" {
				p.lost.WithLabelValues("redis").Inc()
			}
		}
	}
	for _, span := range spans {
		span.End(away)
	}
	if away != nil {
		p.drops.forget()
	}
	switch {
	case away != nil && !p.away:
		p.log.WarnContext(ctx, "redis refuses entries; edges fill them from the log", slog.Any("error", away))
	case away == nil && p.away:
		p.log.WarnContext(ctx, "redis takes entries again")
	}
	p.away = away != nil
}

// follow begins the span of an entry that is traced, which from then on leads on to those who read the entry.
func (p *Publisher) follow(ctx context.Context, spans []trace.Span, one publication, e *roomsapi.Entry) []trace.Span {
	if e.Traceparent == "" {
		return spans
	}
	_, span := p.Tracer.StartChildSince(trace.Extract(ctx, e.Traceparent), trace.Producer, "publish", one.since)
	if !span.IsRecording() {
		return spans
	}
	span.SetString("messaging.system", "redis")
	span.SetInt("parley.seq", int64(e.Seq))
	e.Traceparent = span.Traceparent()
	return append(spans, span)
}

func isOrder(err error) bool { return strings.Contains(err.Error(), "equal or smaller") }

func add(ctx context.Context, pipe redis.Pipeliner, room Room, e *roomsapi.Entry) {
	values := []any{fieldKind, e.Kind}
	if e.Message != 0 {
		values = append(values, fieldMessage, int64(e.Message))
	}
	if e.AtMS != 0 {
		values = append(values, fieldAt, e.AtMS)
	}
	if e.Traceparent != "" {
		values = append(values, fieldTrace, e.Traceparent)
	}
	if len(e.Event)+len(e.State) <= 2*maxCarriedBytes {
		values = append(values, fieldEvent, []byte(e.Event))
		if len(e.State) > 0 {
			values = append(values, fieldState, []byte(e.State))
		}
	}
	pipe.XAdd(ctx, &redis.XAddArgs{
		Stream: room.Key("room"), ID: strconv.FormatInt(int64(e.Seq), 10) + "-0", MaxLen: maxStreamEntries, Approx: true, Values: values,
	})
}
