package stream

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Times of a receiver.
const (
	quietTimeout = 3 * time.Second // without a sound, ping; without a sound after that, renew
	renewPause   = 250 * time.Millisecond
)

var errMoved = errors.New("a partition has moved")

// receiver receives the notifications of the partitions of one server or node. Its connection is renewed when it
// fails or seems to.
type receiver struct {
	notifications *Notifications
	owner         redis.UniversalClient
	connection    *connection // nil while there is none; under the notifications' mu
	stop          context.CancelFunc
	done          chan struct{}
}

// connection is a subscription that rooms are added to. A command whose context has ended breaks it for all of
// them: what is sent for one room is bounded by the client's write timeout alone.
type connection struct {
	*redis.PubSub

	sharded bool // each command may name channels of one partition only
}

// startReceiver opens a receiver to owner, which lives until end.
func (b *Notifications) startReceiver(ctx context.Context, owner redis.UniversalClient) *receiver {
	ctx, stop := context.WithCancel(ctx)
	rc := &receiver{notifications: b, owner: owner, stop: stop, done: make(chan struct{})}
	go rc.run(ctx)
	return rc
}

// end closes the receiver and waits until it is.
func (rc *receiver) end() {
	rc.stop()
	<-rc.done
}

func (rc *receiver) run(ctx context.Context) {
	defer close(rc.done)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for logged := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		received, err := rc.listen(ctx)
		rc.disconnect()
		rc.notifications.moved()
		if ctx.Err() == nil && (received || !logged) {
			rc.notifications.log.WarnContext(ctx, "notifications are lost; entries come from the log until they are back", slog.Any("error", err))
			logged = true
		}
		pause.Reset(renewPause)
	}
}

// disconnect closes the connection, which makes run open another one.
func (rc *receiver) disconnect() {
	rc.notifications.mu.Lock()
	connection := rc.connection
	rc.connection = nil
	rc.notifications.mu.Unlock()
	if connection != nil {
		_ = connection.Close()
	}
}

// listen hears one connection until it fails, and says whether it ever worked.
func (rc *receiver) listen(ctx context.Context) (received bool, err error) {
	c := &connection{rc.owner.Subscribe(ctx), isCluster(rc.notifications.client)}
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if err := c.Ping(ctx); err != nil {
		return false, err
	}
	for pinged := true; ; {
		message, err := c.ReceiveTimeout(ctx, quietTimeout)
		if isTimeout(err) && !pinged {
			pinged = true
			err = c.Ping(ctx)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return received, err
		}
		pinged = false
		if !received {
			received = true
			if err := rc.attach(ctx, c); err != nil {
				return received, err
			}
		}
		if err := rc.notifications.handle(rc, message); err != nil {
			return received, err
		}
	}
}

// attach makes c the connection that rooms are added to, and subscribes those that are there.
func (rc *receiver) attach(ctx context.Context, c *connection) error {
	rc.notifications.order.Lock()
	defer rc.notifications.order.Unlock()
	rc.notifications.mu.Lock()
	rc.connection = c
	channels := rc.notifications.channelsAt(rc)
	rc.notifications.mu.Unlock()
	return c.subscribe(ctx, channels...)
}

// subscribe adds channels, in commands of bounded size.
func (c *connection) subscribe(ctx context.Context, channels ...string) error {
	const batch = 512
	send := c.Subscribe
	if c.sharded {
		send = c.SSubscribe
	}
	for _, some := range c.commands(channels) {
		for n := 0; n < len(some); n += batch {
			if err := send(ctx, some[n:min(n+batch, len(some))]...); err != nil {
				return err
			}
		}
	}
	return nil
}

// commands divides channels by what one command may name.
func (c *connection) commands(channels []string) [][]string {
	if !c.sharded {
		return [][]string{channels}
	}
	byTag := map[string][]string{}
	for _, channel := range channels {
		tag, _, _ := strings.Cut(channel, "}")
		byTag[tag] = append(byTag[tag], channel)
	}
	return slices.Collect(maps.Values(byTag))
}

func (c *connection) unsubscribe(ctx context.Context, channel string) error {
	if c.sharded {
		return c.SUnsubscribe(ctx, channel)
	}
	return c.Unsubscribe(ctx, channel)
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// ownersOf tells which server owns each partition: the only one, or nodes of a cluster.
func ownersOf(ctx context.Context, client redis.UniversalClient) (owners [Partitions]redis.UniversalClient, err error) {
	nodes, several := client.(*redis.ClusterClient)
	for partition := range owners {
		owners[partition] = client
		if !several {
			continue
		}
		if owners[partition], err = nodes.MasterForKey(ctx, hashTag(partition)); err != nil {
			return owners, err
		}
	}
	return owners, nil
}

// reload has a cluster's client find out anew who owns what.
func reload(ctx context.Context, client redis.UniversalClient) {
	if nodes, several := client.(*redis.ClusterClient); several {
		nodes.ReloadState(ctx)
	}
}
