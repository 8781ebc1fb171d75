package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
)

// Hearer is told what the bells ring. It must not block.
type Hearer interface {
	// Rang says that the room's log reaches seq; 0 says that the bell may have been missed, so that
	// the stream must be looked at.
	Rang(room Room, seq chat.Seq)
	// Signalled passes on what rides on the bell's channel beside it: at most once, in no order with
	// the log. Kinds that are not known are passed over.
	Signalled(room Room, kind byte, payload string)
}

// The kinds of signals, the first byte of what is published on a bell's channel. Digits are a seq.
const (
	SignalMembers = 'm' // the members have changed: look at the registry
	SignalTyping  = 't' // somebody types: a chat.Author as JSON
)

// Times of the bell's connection.
const (
	confirmTimeout = time.Second
	quietTimeout   = 3 * time.Second // without a sound, ping; without a sound after that, renew
	renewPause     = 250 * time.Millisecond
)

// Bells listens to the bells of many rooms on one connection, which it renews and subscribes again
// when it fails or seems to.
type Bells struct {
	client  redis.UniversalClient
	hearer  Hearer
	log     *slog.Logger
	healthy atomic.Bool

	order      sync.Mutex // before mu: held over a change of rooms and the command that tells Redis of it
	mu         sync.Mutex
	rooms      map[string]*subscription // by channel
	connection *redis.PubSub            // nil while there is none
}

type subscription struct {
	room      Room
	users     int           // a room may be opened again before it has been closed
	confirmed chan struct{} // closed when Redis has confirmed it once
}

// NewBells makes Bells that tell hearer; Run does the work.
func NewBells(client redis.UniversalClient, hearer Hearer, log *slog.Logger) *Bells {
	return &Bells{client: client, hearer: hearer, log: log, rooms: map[string]*subscription{}}
}

// Healthy says whether the connection seems to carry bells.
func (b *Bells) Healthy() bool { return b.healthy.Load() }

// Subscribe begins to listen to a room's bell and waits until Redis has confirmed it. An error says
// that the bell can't be heard for now; it will be as soon as Redis is back. Each Subscribe wants an
// Unsubscribe, whatever it returned.
func (b *Bells) Subscribe(ctx context.Context, room Room) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	confirmed, err := b.subscribe(ctx, room)
	if err != nil {
		return err
	}
	select {
	case <-confirmed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("subscribe: %w", ctx.Err())
	}
}

func (b *Bells) subscribe(ctx context.Context, room Room) (confirmed chan struct{}, err error) {
	channel := room.Key("bell")
	b.order.Lock()
	defer b.order.Unlock()
	b.mu.Lock()
	s := b.rooms[channel]
	if s == nil {
		s = &subscription{room: room, confirmed: make(chan struct{})}
		b.rooms[channel] = s
	}
	s.users++
	first, connection := s.users == 1, b.connection
	b.mu.Unlock()
	if connection == nil || !b.Healthy() {
		return nil, errors.New("redis is away") //nolint:err113 // only ever logged
	}
	if first {
		if err := connection.Subscribe(ctx, channel); err != nil {
			return nil, fmt.Errorf("subscribe: %w", err)
		}
	}
	return s.confirmed, nil
}

// Unsubscribe takes back one Subscribe; with the last of a room its bell is not heard any more.
func (b *Bells) Unsubscribe(ctx context.Context, room Room) {
	channel := room.Key("bell")
	b.order.Lock()
	defer b.order.Unlock()
	b.mu.Lock()
	s, connection := b.rooms[channel], b.connection
	last := s != nil && s.users == 1
	if last {
		delete(b.rooms, channel)
	} else if s != nil {
		s.users--
	}
	b.mu.Unlock()
	if last && connection != nil && b.Healthy() {
		_ = connection.Unsubscribe(ctx, channel) // a broken connection is renewed without it
	}
}

// Renew counts the connection as broken: something should have rung and did not.
func (b *Bells) Renew() {
	b.healthy.Store(false)
	b.mu.Lock()
	connection := b.connection
	b.connection = nil
	b.mu.Unlock()
	if connection != nil {
		_ = connection.Close()
	}
}

// Run listens until ctx ends.
func (b *Bells) Run(ctx context.Context, ready func()) error {
	ready()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for complained := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
		heard, err := b.listen(ctx)
		b.Renew()
		if ctx.Err() == nil && (heard || !complained) {
			b.log.WarnContext(ctx, "the bells' connection broke; entries come from the log until it is back", slog.Any("error", err))
			complained = true
		}
		pause.Reset(renewPause)
	}
}

// listen hears one connection until it fails, and says whether it ever worked.
func (b *Bells) listen(ctx context.Context) (heard bool, err error) {
	connection := b.client.Subscribe(ctx)
	defer func() { _ = connection.Close() }()
	defer context.AfterFunc(ctx, func() { _ = connection.Close() })()
	if err := connection.Ping(ctx); err != nil {
		return false, err
	}
	for pinged := true; ; {
		message, err := connection.ReceiveTimeout(ctx, quietTimeout)
		if isTimeout(err) && !pinged {
			pinged = true
			err = connection.Ping(ctx)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return heard, err
		}
		pinged = false
		if !heard {
			heard = true
			if err := b.attach(ctx, connection); err != nil {
				return heard, err
			}
		}
		b.handle(message)
	}
}

// attach makes connection the one that Subscribe uses, and subscribes what was subscribed before.
func (b *Bells) attach(ctx context.Context, connection *redis.PubSub) error {
	b.order.Lock()
	defer b.order.Unlock()
	b.mu.Lock()
	b.connection = connection
	channels := make([]string, 0, len(b.rooms))
	for channel := range b.rooms {
		channels = append(channels, channel)
	}
	b.healthy.Store(true)
	b.mu.Unlock()
	const batch = 512
	for len(channels) > 0 {
		n := min(batch, len(channels))
		if err := connection.Subscribe(ctx, channels[:n]...); err != nil {
			return err
		}
		channels = channels[n:]
	}
	return nil
}

func (b *Bells) handle(message any) {
	switch m := message.(type) {
	case *redis.Subscription:
		if s := b.subscription(m.Channel); s != nil && m.Kind == "subscribe" {
			select {
			case <-s.confirmed: // again: bells may have rung in between
			default:
				close(s.confirmed)
			}
			b.hearer.Rang(s.room, 0)
		}
	case *redis.Message:
		s := b.subscription(m.Channel)
		if s == nil || m.Payload == "" {
			return
		}
		if kind := m.Payload[0]; kind < '0' || kind > '9' {
			b.hearer.Signalled(s.room, kind, m.Payload[1:])
		} else if seq, err := strconv.ParseInt(m.Payload, 10, 64); err == nil && seq <= chat.MaxSeq {
			b.hearer.Rang(s.room, chat.Seq(seq))
		}
	}
}

func (b *Bells) subscription(channel string) *subscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rooms[channel]
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// Signal is something that rides on a room's bell.
type Signal struct {
	Room    Room
	Kind    byte
	Payload string
}

// Send publishes signals, at most once.
func Send(ctx context.Context, client redis.UniversalClient, signals []Signal) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	pipe := client.Pipeline()
	for _, s := range signals {
		pipe.Publish(ctx, s.Room.Key("bell"), string(s.Kind)+s.Payload)
	}
	_, err := pipe.Exec(ctx)
	return err
}
