package lobby

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
)

// The lobbies, by the service that writes them.
const (
	OfAuth  = "auth"
	OfRooms = "rooms"
)

const (
	maxStreamEvents = 1000
	announceTimeout = 2 * time.Second
	announceQueue   = 1024
	fieldEvent      = "e"
)

func streamKey(name string, log chat.LogID) string { return "parley:lobby:" + name + ":" + string(log) }

// Publisher announces committed events on a lobby's Redis stream. It never makes its caller wait:
// what it can't announce, followers get by range within a second.
type Publisher struct {
	client redis.UniversalClient
	name   string
	log    *slog.Logger
	queue  chan announcement
}

type announcement struct {
	log    chat.LogID
	events []Event
}

// NewPublisher makes a Publisher of the lobby called name; Run does its work.
func NewPublisher(client redis.UniversalClient, name string, log *slog.Logger) *Publisher {
	return &Publisher{client: client, name: name, log: log, queue: make(chan announcement, announceQueue)}
}

// Announce queues committed events of the lobby's log, in the order of their seqs. When the queue is
// full they are left to the followers' next range.
func (p *Publisher) Announce(log chat.LogID, events []Event) {
	select {
	case p.queue <- announcement{log, events}:
	default:
	}
}

// Run announces until ctx ends; what is queued then is still tried once, all of it in announceTimeout.
func (p *Publisher) Run(ctx context.Context, ready func()) error {
	ready()
	for {
		select {
		case a := <-p.queue:
			p.announce(ctx, a)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTimeout)
			defer cancel()
			p.announceRest(last)
			return nil
		}
	}
}

func (p *Publisher) announceRest(ctx context.Context) {
	for {
		select {
		case a := <-p.queue:
			p.announce(ctx, a)
		default:
			return
		}
	}
}

func (p *Publisher) announce(ctx context.Context, a announcement) {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	pipe := p.client.Pipeline()
	for _, event := range a.events {
		content, err := json.Marshal(event)
		if err != nil {
			p.log.ErrorContext(ctx, "an event can't be written as JSON", slog.Any("error", err))
			return
		}
		pipe.XAdd(ctx, &redis.XAddArgs{
			Stream: streamKey(p.name, a.log), ID: strconv.FormatInt(int64(event.Seq), 10) + "-0",
			MaxLen: maxStreamEvents, Approx: true, Values: []any{fieldEvent, content},
		})
	}
	pipe.Expire(ctx, streamKey(p.name, a.log), 24*time.Hour)
	if _, err := pipe.Exec(ctx); err != nil { // refused as out of order, or Redis is away: both are filled by range
		p.log.DebugContext(ctx, "events not announced", slog.String("lobby", p.name), slog.Any("error", err))
	}
}
