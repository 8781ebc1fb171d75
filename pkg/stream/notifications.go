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

// Subscriber is told of what is published. It must not block.
type Subscriber interface {
	// Notified says that the room's log reaches seq; 0 says that a notification may have been missed, so that
	// the stream must be looked at.
	Notified(room Room, seq chat.Seq)
	// Signalled passes on what rides on the channel of notifications beside it: at most once, in no order with
	// the log. Kinds that are not known are passed over.
	Signalled(room Room, kind byte, payload string)
}

// The kinds of signals, the first byte of what is published on a channel of notifications. Digits are a seq.
const (
	SignalMembers = 'm' // the members have changed: look at the registry
	SignalTyping  = 't' // somebody types: a chat.Author as JSON
)

// Times of the notifications.
const (
	confirmTimeout = time.Second
	ownersEvery    = time.Second            // on a cluster: who owns which partition
	ownersSoon     = 100 * time.Millisecond // the same, when something hints at a change
)

// Notifications receives the notifications of many rooms: on one receiver, or on a cluster on one to each node that owns
// partitions. Receivers are renewed, and rooms subscribed again, when they fail or seem to, and when
// partitions move.
type Notifications struct {
	client     redis.UniversalClient
	subscriber Subscriber
	log        *slog.Logger
	hint       chan struct{} // tells Run that partitions may have moved; holds one

	order     sync.Mutex // before mu: held over a change of rooms or receivers and the command that tells Redis of it
	mu        sync.Mutex
	rooms     map[string]*subscription // by channel
	receivers map[redis.UniversalClient]*receiver
	at        [Partitions]*receiver // on which each partition's notifications are received, nil before that is known
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
		rooms: map[string]*subscription{}, receivers: map[redis.UniversalClient]*receiver{},
	}
}

// Healthy says whether all receivers seem to carry notifications.
func (b *Notifications) Healthy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, rc := range b.receivers {
		if rc.connection == nil {
			return false
		}
	}
	return len(b.receivers) > 0
}

// Subscribe subscribes to a room's notifications and waits until Redis has confirmed it. An error says
// that none can be received for now; it will be as soon as Redis is back. Each Subscribe wants an
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

// confirm says that Redis has confirmed s. Receivers that a partition moves between may do so at the same time.
func (b *Notifications) confirm(s *subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-s.confirmed: // again: there may have been notifications in between
	default:
		close(s.confirmed)
	}
}

// connection is where a room's notifications are received, nil while there is none. Under mu.
func (b *Notifications) connection(room Room) *connection {
	if rc := b.at[room.partition()]; rc != nil {
		return rc.connection
	}
	return nil
}

// Unsubscribe takes back one Subscribe; with the last of a room it is not notified of any more.
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

// Renew counts the receivers as broken: a notification should have come and did not.
func (b *Notifications) Renew() {
	b.mu.Lock()
	receivers := slices.Collect(maps.Values(b.receivers))
	b.mu.Unlock()
	for _, rc := range receivers {
		rc.disconnect()
	}
}

// Run listens until ctx ends.
func (b *Notifications) Run(ctx context.Context, ready func()) error {
	ready()
	defer b.closeAll()
	look := time.NewTimer(0)
	defer look.Stop()
	for logged, hinted := false, false; ; {
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
		err := b.assignPartitions(ctx)
		if err != nil && !logged && ctx.Err() == nil {
			b.log.WarnContext(ctx, "the owners of the partitions are unknown; entries come from the log until they are known", slog.Any("error", err))
		}
		logged = err != nil
		if err != nil || isCluster(b.client) {
			look.Reset(ownersEvery)
		}
	}
}

// assignPartitions makes a receiver to each node that owns partitions, ends those that are not needed any more, and
// subscribes on their new receivers the rooms whose partition has moved.
func (b *Notifications) assignPartitions(ctx context.Context) error {
	owners, err := ownersOf(ctx, b.client)
	if err != nil {
		return err
	}
	b.order.Lock()
	b.mu.Lock()
	var moved [Partitions]bool
	gone := maps.Clone(b.receivers)
	for partition, owner := range owners {
		rc := b.receivers[owner]
		if rc == nil {
			rc = b.startReceiver(ctx, owner)
			b.receivers[owner] = rc
		}
		delete(gone, owner)
		moved[partition] = b.at[partition] != rc
		b.at[partition] = rc
	}
	for owner := range gone {
		delete(b.receivers, owner)
	}
	subscriptions := map[*connection][]string{}
	for channel, s := range b.rooms {
		if c := b.connection(s.room); c != nil && moved[s.room.partition()] {
			subscriptions[c] = append(subscriptions[c], channel)
		}
	}
	b.mu.Unlock()
	for connection, channels := range subscriptions {
		_ = connection.subscribe(ctx, channels...) // if it broke, its receiver begins anew with all its rooms
	}
	b.order.Unlock()
	for _, rc := range gone { // without the lock, which a receiver may be waiting for
		rc.end()
	}
	return nil
}

// closeAll ends all receivers.
func (b *Notifications) closeAll() {
	b.mu.Lock()
	receivers := b.receivers
	b.receivers, b.at = map[redis.UniversalClient]*receiver{}, [Partitions]*receiver{}
	b.mu.Unlock()
	for _, rc := range receivers {
		rc.end()
	}
}

// moved hints that partitions may have moved.
func (b *Notifications) moved() {
	select {
	case b.hint <- struct{}{}:
	default:
	}
}

// channelsAt are the channels of the rooms that rc subscribes to. Under mu.
func (b *Notifications) channelsAt(rc *receiver) []string {
	channels := make([]string, 0, len(b.rooms))
	for channel, s := range b.rooms {
		if b.at[s.room.partition()] == rc {
			channels = append(channels, channel)
		}
	}
	return channels
}

// handle takes in what rc has received. An error says that rc does not receive any more what it should.
func (b *Notifications) handle(rc *receiver, message any) error {
	switch m := message.(type) {
	case *redis.Subscription:
		s := b.subscription(rc, m.Channel)
		switch {
		case s == nil:
		case m.Kind == "sunsubscribe":
			return errMoved
		case m.Kind == "subscribe" || m.Kind == "ssubscribe":
			b.confirm(s)
			b.subscriber.Notified(s.room, 0)
		}
	case *redis.Message:
		s := b.subscription(rc, m.Channel)
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

// subscription is that of a channel, if rc subscribes to it.
func (b *Notifications) subscription(rc *receiver, channel string) *subscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.rooms[channel]
	if s == nil || b.at[s.room.partition()] != rc {
		return nil
	}
	return s
}
