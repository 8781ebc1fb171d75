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
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// Bounds of a room's stream and of what waits to be published.
const (
	maxStreamEntries = 512            // about; older ones are read from the log
	maxCarriedBytes  = 4 << 10        // larger bodies stay out: the entry says so and is read from the log
	streamExpiry     = 24 * time.Hour // after the last entry: an idle room costs Redis nothing
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
)

// Publisher writes committed entries to their rooms' streams and rings the bells, many in one
// pipeline. It never makes its caller wait: what does not fit its queue, or what Redis refuses, is
// counted and left to the edges, which fill it from the log.
type Publisher struct {
	client redis.UniversalClient
	log    *slog.Logger
	lost   *prometheus.CounterVec
	took   prometheus.Histogram

	away bool // Redis failed last time; of Run alone

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
}

// NewPublisher makes a Publisher; Run does its work.
func NewPublisher(client redis.UniversalClient, log *slog.Logger, registry prometheus.Registerer) *Publisher {
	metrics := promauto.With(registry)
	return &Publisher{
		client: client, log: log, wake: make(chan struct{}, 1),
		lost: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_rooms_publish_lost_total", Help: "Entries that did not get to Redis, which edges then fill from the log, by reason.",
		}, []string{"reason"}),
		took: metrics.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_rooms_publish_seconds", Help: "Time of one pipeline of entries and bells.", Buckets: prometheus.ExponentialBuckets(0.0002, 2.5, 12),
		}),
	}
}

// Publish queues committed entries of one room, in the order of their seqs.
func (p *Publisher) Publish(tenant chat.TenantID, log chat.LogID, entries []roomsapi.Entry) {
	p.enqueue(publication{room: Room{tenant, log}, entries: entries})
}

// Drop queues the deletion of a room's stream, so that a deleted body can't be read there.
func (p *Publisher) Drop(tenant chat.TenantID, log chat.LogID) {
	p.enqueue(publication{room: Room{tenant, log}, drop: true})
}

func (p *Publisher) enqueue(one publication) {
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
	for {
		select {
		case <-ctx.Done():
			p.publish(context.WithoutCancel(ctx), p.take())
			return nil
		case <-p.wake:
			p.publish(context.WithoutCancel(ctx), p.take())
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
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	pipe := p.client.Pipeline()
	heads := map[Room]chat.Seq{}
	for _, one := range batch {
		if one.drop {
			pipe.Del(ctx, one.room.Key("room"))
		}
		for i := range one.entries {
			add(ctx, pipe, one.room, &one.entries[i])
			heads[one.room] = max(heads[one.room], one.entries[i].Seq)
		}
	}
	for room, head := range heads {
		pipe.Expire(ctx, room.Key("room"), streamExpiry)
		ring(ctx, p.client, pipe, room, strconv.FormatInt(int64(head), 10))
	}
	start := time.Now()
	commands, _ := pipe.Exec(ctx) // each command has its error
	p.took.Observe(time.Since(start).Seconds())
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
	if (away != nil) != p.away {
		p.away = away != nil
		p.log.WarnContext(ctx, "redis takes entries or not; edges fill from the log what it does not take", slog.Bool("takes", !p.away), slog.Any("error", away))
	}
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
