//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/test/bench/load"
	"github.com/parley-chat/parley/test/harness"
)

// The sockets that are cut, and what they miss.
const (
	resumeSockets = 10_000
	resumeRooms   = 100
	resumeMissed  = 3 // messages in each room
	resumeWithin  = time.Minute
)

// logReads are the calls of rooms pods that read a log, each once.
var logReads = []string{roomsapi.PathTail, roomsapi.PathEntries, roomsapi.PathHistory} //nolint:gochecknoglobals // a constant

// resume measures how soon everybody is back who was cut at once, and what that costs the stores. First
// the sockets alone are cut; then the edges are killed with them, so that all rooms must be opened anew.
func (b *bench) resume(ctx context.Context) (err error) {
	if err = b.stage.needRooms(ctx, resumeRooms); err != nil {
		return err
	}
	on := b.stage.parley(2)
	c, err := gather(ctx, on, evenly(resumeSockets, resumeRooms, len(on.addresses)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.fleet.Close()) }()
	for _, kind := range []struct {
		name string
		harm func() error
	}{
		{"sockets cut", func() error { c.fleet.Cut(); return nil }},
		{"edges killed", func() error { return b.killEdges(ctx) }},
	} {
		if err = b.resumeAfter(ctx, c, kind.name, kind.harm); err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	return nil
}

func (b *bench) resumeAfter(ctx context.Context, c *crowd, name string, harm func() error) error {
	counts := c.fleet.Counts()
	if err := harm(); err != nil {
		return err
	}
	if err := b.sendByHTTP(ctx); err != nil {
		return err
	}
	// An edge goes on to follow rooms for a while that nobody is in any more: those reads are not of the return.
	if err := harness.Pause(ctx, 2*time.Second); err != nil {
		return err
	}
	reads, err := b.storeReads(ctx)
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, resumeWithin)
	defer cancel()
	began := c.fleet.Now()
	if err = c.fleet.Return(within, resumeSockets); err != nil {
		return err
	}
	took := c.fleet.Now() - began
	if err = c.quiet(ctx); err != nil {
		return err
	}
	after := c.fleet.Counts()
	now, err := b.storeReads(ctx)
	if err != nil {
		return err
	}
	resumed, replayed := after.Resumed-counts.Resumed, after.Replayed-counts.Replayed
	live := after.Delivered - counts.Delivered
	if resumed != resumeSockets || replayed+live < resumeSockets*resumeMissed || after.Holes > counts.Holes {
		b.complain(name, fmt.Errorf("%d of %d resumed, %d of %d entries replayed, %d more live, %d holes", resumed, resumeSockets, replayed, resumeSockets*resumeMissed, live, after.Holes-counts.Holes))
	}
	perRoomAndEdge := func(n float64) float64 { return n / resumeRooms / float64(len(c.on.addresses)) }
	b.note("until 10,000 sockets have resumed, "+name, "s", float64(took)/1e9, atMost(10))
	b.note("joins that were unavailable and tried again, "+name, "joins", float64(after.Retried-counts.Retried), goal{})
	logs := 0.0
	for _, route := range logReads {
		n := now[route] - reads[route]
		logs += n
		b.note("calls of "+route+" per room and edge, "+name, "calls", perRoomAndEdge(n), goal{})
	}
	b.note("reads of logs in PostgreSQL per room and edge, "+name, "reads", perRoomAndEdge(logs), atMost(1))
	b.note("reads of Redis (XREAD) per room and edge, "+name, "reads", perRoomAndEdge(now[xread]-reads[xread]), atMost(1))
	b.note("calls of "+roomsapi.PathAccess+" per room and edge, "+name, "calls", perRoomAndEdge(now[roomsapi.PathAccess]-reads[roomsapi.PathAccess]), goal{})
	return nil
}

// killEdges kills both edges; they are started again at once.
func (b *bench) killEdges(ctx context.Context) error {
	for i := range 2 {
		edge := b.stage.edge(i)
		before := edge.PID()
		if err := edge.Signal(syscall.SIGKILL); err != nil {
			return err
		}
		if err := served(ctx, edge, before); err != nil {
			return err
		}
	}
	return nil
}

// sendByHTTP sends what is missed.
func (b *bench) sendByHTTP(ctx context.Context) error {
	http := caller(b.stage.roomsURL)
	err := each(resumeRooms*resumeMissed, func(i int) error {
		slug := load.Room(i % resumeRooms).Slug()
		_, err := http.Send(ctx, b.stage.admin, chat.Slug(slug), client.Outgoing{Body: "missed", Nonce: fmt.Sprintf("%d-%d", time.Now().UnixNano(), i)})
		return err
	})
	if err != nil {
		return fmt.Errorf("send what is missed: %w", err)
	}
	return nil
}

// xread is the command of Redis that reads streams.
const xread = "xread"

// storeReads are how often the stores were read so far: by the calls that rooms pods answered, and by
// Redis's own count of commands.
func (b *bench) storeReads(ctx context.Context) (map[string]float64, error) {
	reads := map[string]float64{}
	for _, child := range b.stage.cluster.Children() {
		if !strings.HasPrefix(child.Name, "rooms-") {
			continue
		}
		for _, route := range append([]string{roomsapi.PathAccess}, logReads...) {
			n, err := metric(ctx, child, "http_request_seconds_count", `route="`+route+`"`)
			if err != nil {
				return nil, err
			}
			reads[route] += n
		}
	}
	calls, err := redisCalls(ctx, b.stage.cluster.Redis, xread)
	reads[xread] = float64(calls)
	return reads, err
}
