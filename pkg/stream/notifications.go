package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
)

// Subscriber is told what the bells ring. It must not block.
type Subscriber interface {
	// Notified says that the room's log reaches seq; 0 says that the bell may have been missed, so that
	// the stream must be looked at.
	Notified(room Room, seq chat.Seq)
	// Signalled passes on what rides on the bell's channel beside it: at most once, in no order with
	// the log. Kinds that are not known are passed over.
	Signalled(room Room, kind byte, payload string)
}

// The kinds of signals, the first byte of what is published on a bell's channel. Digits are a seq.
const (
	SignalMembers = 'm' // the members have changed: look at the registry
	SignalTyping  = 't' // somebody types: a chat.Author as JSON
)

// Times of the bells.
const (
	confirmTimeout = time.Second
	ownersEvery    = time.Second            // on a cluster: who owns which partition
	ownersSoon     = 100 * time.Millisecond // the same, when something hints at a change
)

// Notifications listens to the bells of many rooms: on one line, or on a cluster on one to each node that owns
// partitions. Lines are renewed, and rooms subscribed again, when they fail or seem to, and when
// partitions move.
type Notifications struct {
	client redis.UniversalClient
	subscriber Subscriber
	log    *slog.Logger
	hint   chan struct{} // tells Run that partitions may have moved; holds one

	order sync.Mutex // before mu: held over a change of rooms or lines and the command that tells Redis of it
	mu    sync.Mutex
	rooms map[string]*subscription // by channel
	lines map[redis.UniversalClient]*line
	at    [Partitions]*line // on which each partition's bells are heard, nil before that is known
}

type subscription struct {
	room      Room
	users     int           // a room may be opened again before it has been closed
	confirmed chan struct{} // closed when Redis has confirmed it once
}

// NewNotifications makes Notifications that tell subscriber; Run does the work.
func NewNotifications(client redis.UniversalClient, subscriber Subscriber, log *slog.Logger) *Notifications {
	return &Notifications{
		client: client, subscriber: subscriber, log: log, hint: make(chan struct{}, 1),
		rooms: map[string]*subscription{}, lines: map[redis.UniversalClient]*line{},
	}
}

// Healthy says whether all lines seem to carry bells.
func (b *Notifications) Healthy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.lines {
		if l.connection == nil {
			return false
		}
	}
	return len(b.lines) > 0
}

// Subscribe begins to listen to a room's bell and waits until Redis has confirmed it. An error says
// that the bell can't be heard for now; it will be as soon as Redis is back. Each Subscribe wants an
// Unsubscribe, whatever it returned.
func (b *Notifications) Subscribe(ctx context.Context, room Room) error {
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

var errAway = errors.New("redis is away")

func (b *Notifications) subscribe(ctx context.Context, room Room) (confirmed chan struct{}, err error) {
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
	first, connection := s.users == 1, b.connection(room)
	b.mu.Unlock()
	if connection == nil {
		return nil, errAway
	}
	if first {
		if err := connection.subscribe(context.WithoutCancel(ctx), channel); err != nil {
			return nil, fmt.Errorf("subscribe: %w", err)
		}
	}
	return s.confirmed, nil
}

// confirm says that Redis has confirmed s. Lines that a partition moves between may do so at the same time.
func (b *Notifications) confirm(s *subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-s.confirmed: // again: bells may have rung in between
	default:
		close(s.confirmed)
	}
}

// connection is where a room's bell is heard, nil while there is none. Under mu.
func (b *Notifications) connection(room Room) *connection {
	if l := b.at[room.partition()]; l != nil {
		return l.connection
	}
	return nil
}

// Unsubscribe takes back one Subscribe; with the last of a room its bell is not heard any more.
func (b *Notifications) Unsubscribe(ctx context.Context, room Room) {
	channel := room.Key("bell")
	b.order.Lock()
	defer b.order.Unlock()
	b.mu.Lock()
	s, connection := b.rooms[channel], b.connection(room)
	last := s != nil && s.users == 1
	if last {
		delete(b.rooms, channel)
	} else if s != nil {
		s.users--
	}
	b.mu.Unlock()
	if last && connection != nil {
		_ = connection.unsubscribe(context.WithoutCancel(ctx), channel) // a broken connection is renewed without it
	}
}

// Renew counts the lines as broken: something should have rung and did not.
func (b *Notifications) Renew() {
	b.mu.Lock()
	lines := slices.Collect(maps.Values(b.lines))
	b.mu.Unlock()
	for _, l := range lines {
		l.cut()
	}
}

// Run listens until ctx ends.
func (b *Notifications) Run(ctx context.Context, ready func()) error {
	ready()
	defer b.hangUp()
	look := time.NewTimer(0)
	defer look.Stop()
	for complained, hinted := false, false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-b.hint:
			reload(ctx, b.client)
			if !hinted {
				hinted = true
				look.Reset(ownersSoon)
			}
			continue
		case <-look.C:
			hinted = false
		}
		err := b.allot(ctx)
		if err != nil && !complained && ctx.Err() == nil {
			b.log.WarnContext(ctx, "nobody tells which node owns what; entries come from the log until it is known", slog.Any("error", err))
		}
		complained = err != nil
		if err != nil || isCluster(b.client) {
			look.Reset(ownersEvery)
		}
	}
}

// allot makes a line to each node that owns partitions, ends those that are not needed any more, and
// subscribes on their new lines the rooms whose partition has moved.
func (b *Notifications) allot(ctx context.Context) error {
	owners, err := ownersOf(ctx, b.client)
	if err != nil {
		return err
	}
	b.order.Lock()
	b.mu.Lock()
	var moved [Partitions]bool
	gone := maps.Clone(b.lines)
	for partition, owner := range owners {
		l := b.lines[owner]
		if l == nil {
			l = b.startLine(ctx, owner)
			b.lines[owner] = l
		}
		delete(gone, owner)
		moved[partition] = b.at[partition] != l
		b.at[partition] = l
	}
	for owner := range gone {
		delete(b.lines, owner)
	}
	news := map[*connection][]string{}
	for channel, s := range b.rooms {
		if c := b.connection(s.room); c != nil && moved[s.room.partition()] {
			news[c] = append(news[c], channel)
		}
	}
	b.mu.Unlock()
	for connection, channels := range news {
		_ = connection.subscribe(ctx, channels...) // if it broke, its line begins anew with all its rooms
	}
	b.order.Unlock()
	for _, l := range gone { // without the lock, which a line may be waiting for
		l.end()
	}
	return nil
}

// hangUp ends all lines.
func (b *Notifications) hangUp() {
	b.mu.Lock()
	lines := b.lines
	b.lines, b.at = map[redis.UniversalClient]*line{}, [Partitions]*line{}
	b.mu.Unlock()
	for _, l := range lines {
		l.end()
	}
}

// moved hints that partitions may have moved.
func (b *Notifications) moved() {
	select {
	case b.hint <- struct{}{}:
	default:
	}
}

// channelsAt are the channels of the rooms that are heard on l. Under mu.
func (b *Notifications) channelsAt(l *line) []string {
	channels := make([]string, 0, len(b.rooms))
	for channel, s := range b.rooms {
		if b.at[s.room.partition()] == l {
			channels = append(channels, channel)
		}
	}
	return channels
}

// handle takes in what came on l. An error says that l does not hear any more what it should.
func (b *Notifications) handle(l *line, message any) error {
	switch m := message.(type) {
	case *redis.Subscription:
		s := b.subscription(l, m.Channel)
		switch {
		case s == nil:
		case m.Kind == "sunsubscribe":
			return errMoved
		case m.Kind == "subscribe" || m.Kind == "ssubscribe":
			b.confirm(s)
			b.subscriber.Notified(s.room, 0)
		}
	case *redis.Message:
		s := b.subscription(l, m.Channel)
		if s == nil || m.Payload == "" {
			return nil
		}
		if kind := m.Payload[0]; kind < '0' || kind > '9' {
			b.subscriber.Signalled(s.room, kind, m.Payload[1:])
		} else if seq, err := strconv.ParseInt(m.Payload, 10, 64); err == nil && seq <= chat.MaxSeq {
			b.subscriber.Notified(s.room, chat.Seq(seq))
		}
	}
	return nil
}

// subscription is that of a channel, if it is to be heard on l.
func (b *Notifications) subscription(l *line, channel string) *subscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.rooms[channel]
	if s == nil || b.at[s.room.partition()] != l {
		return nil
	}
	return s
}
