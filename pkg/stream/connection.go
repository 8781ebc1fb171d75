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

// Times of a line.
const (
	quietTimeout = 3 * time.Second // without a sound, ping; without a sound after that, renew
	renewPause   = 250 * time.Millisecond
)

var errMoved = errors.New("a partition has moved")

// line hears the bells of the partitions of one server or node. Its connection is renewed when it
// fails or seems to.
type line struct {
	bells      *Notifications
	owner      redis.UniversalClient
	connection *connection // nil while there is none; under the bells' mu
	stop       context.CancelFunc
	done       chan struct{}
}

// connection is a subscription that rooms are added to. A command whose context has ended breaks it for all of
// them: what is sent for one room is bounded by the client's write timeout alone.
type connection struct {
	*redis.PubSub

	sharded bool // each command may name channels of one partition only
}

// startLine opens a line to owner, which lives until end.
func (b *Notifications) startLine(ctx context.Context, owner redis.UniversalClient) *line {
	ctx, stop := context.WithCancel(ctx)
	l := &line{bells: b, owner: owner, stop: stop, done: make(chan struct{})}
	go l.run(ctx)
	return l
}

// end closes the line and waits until it is.
func (l *line) end() {
	l.stop()
	<-l.done
}

func (l *line) run(ctx context.Context) {
	defer close(l.done)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for complained := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		heard, err := l.listen(ctx)
		l.cut()
		l.bells.moved()
		if ctx.Err() == nil && (heard || !complained) {
			l.bells.log.WarnContext(ctx, "the bells' connection broke; entries come from the log until it is back", slog.Any("error", err))
			complained = true
		}
		pause.Reset(renewPause)
	}
}

// cut closes the connection, which makes run open another one.
func (l *line) cut() {
	l.bells.mu.Lock()
	connection := l.connection
	l.connection = nil
	l.bells.mu.Unlock()
	if connection != nil {
		_ = connection.Close()
	}
}

// listen hears one connection until it fails, and says whether it ever worked.
func (l *line) listen(ctx context.Context) (heard bool, err error) {
	c := &connection{l.owner.Subscribe(ctx), isCluster(l.bells.client)}
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
			return heard, err
		}
		pinged = false
		if !heard {
			heard = true
			if err := l.attach(ctx, c); err != nil {
				return heard, err
			}
		}
		if err := l.bells.handle(l, message); err != nil {
			return heard, err
		}
	}
}

// attach makes c the connection that rooms are added to, and subscribes those that are there.
func (l *line) attach(ctx context.Context, c *connection) error {
	l.bells.order.Lock()
	defer l.bells.order.Unlock()
	l.bells.mu.Lock()
	l.connection = c
	channels := l.bells.channelsAt(l)
	l.bells.mu.Unlock()
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
