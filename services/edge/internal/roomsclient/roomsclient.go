// Package roomsclient is the edge's side of the border with the rooms service: appends in lanes,
// questions of access in batches, and reads of the log.
package roomsclient

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/services/edge/internal/lanes"
)

// Caller reaches the pods of the rooms service: webapi.Client.
type Caller interface {
	// Post makes a call that may safely be made twice.
	Post(ctx context.Context, path string, request, answer any) error
	// PostOnce makes a call once, to the pod of that number if it can be reached. CodeUnavailable means
	// that nobody knows whether it was carried out.
	PostOnce(ctx context.Context, pod int, path string, request, answer any) error
}

// laneCount spreads rooms: a hot or stuck room holds up its lane only. The same on every edge, so that
// the batches of different lanes never meet in the database.
const laneCount = 16

// readTimeout bounds a read of the log.
const readTimeout = 5 * time.Second

// Client calls the rooms service. Safe for concurrent use.
type Client struct {
	caller  Caller
	tracer  *trace.Tracer
	appends [laneCount]*lanes.Lane[pending, roomsapi.Outcome]
	access  *lanes.Lane[roomsapi.Question, roomsapi.Access]
	batches prometheus.Histogram
	retries prometheus.Counter
	calls   *prometheus.HistogramVec
}

// New makes a client. A nil tracer traces nothing.
func New(caller Caller, registry prometheus.Registerer, tracer *trace.Tracer) *Client {
	metrics := promauto.With(registry)
	c := &Client{
		caller:  caller,
		tracer:  tracer,
		batches: metric.Histogram(registry, "parley_edge_append_batch_entries", "Entries in one append.", prometheus.ExponentialBuckets(1, 2, 10)),
		retries: metrics.NewCounter(prometheus.CounterOpts{Name: "parley_edge_append_retries_total", Help: "Appends that were sent again, their outcome being unknown."}),
		calls:   metric.Histograms(registry, "parley_edge_rooms_call_seconds", "Time of a call of the rooms service, by whether it could answer; what it refuses it has answered.", metric.DurationBuckets(), "call", "result"),
	}
	for _, path := range []string{roomsapi.PathAppend, roomsapi.PathAccess, roomsapi.PathTail, roomsapi.PathEntries, roomsapi.PathHistory, roomsapi.PathHeads} {
		c.calls.WithLabelValues(callName(path), "ok")
		c.calls.WithLabelValues(callName(path), "failed")
	}
	metricsOfLanes := lanes.NewMetrics(registry)
	for i := range c.appends {
		a := &appender{client: c, pod: i}
		c.appends[i] = lanes.New("append", lanes.Bounds{Batch: 256, BatchBytes: 1 << 20, Bytes: 4 << 20, Age: patience}, metricsOfLanes, a.append)
	}
	c.access = lanes.New("access", lanes.Bounds{Batch: 500, BatchBytes: 1 << 20, Bytes: 16 << 20, Age: readTimeout}, metricsOfLanes, c.ask)
	return c
}

// Append queues a in its room's lane. done gets the entry's seq (a message's id) once it is
// committed, or an error: CodeUnavailable and CodeInternal mean that its outcome is unknown.
func (c *Client) Append(a roomsapi.Append, done func(chat.Seq, error)) {
	lane := c.appends[uint64(a.Room)%laneCount] //nolint:gosec // only spreads
	p := pending{Append: a}
	if a.Traceparent != "" {
		_, p.waits = c.tracer.StartChild(trace.Extract(context.Background(), a.Traceparent), trace.Internal, "lane")
	}
	lane.Submit(p, len(a.Body)+len(a.Token)+200, func(outcome roomsapi.Outcome, err error) {
		if err != nil { // it never left the lane
			p.waits.End(err)
		} else {
			err = outcome.Error.Err()
		}
		done(outcome.Seq, err)
	})
}

var errShort = chat.Errorf(chat.CodeUnavailable, "the rooms service answered something else than was asked")

// Access asks what the bearer of token may do in a room. CodeNotFound is a room that it may not know of.
func (c *Client) Access(ctx context.Context, token string, slug chat.Slug) (roomsapi.Access, error) {
	access, err := c.access.Do(ctx, roomsapi.Question{Token: token, Slug: slug}, len(token)+100)
	if err == nil {
		err = access.Error.Err()
	}
	if err == nil && (access.Room == nil || access.ID < 1 || access.Room.Slug != slug || access.Room.Log == "") {
		err = errShort
	}
	return access, err
}

func (c *Client) ask(ctx context.Context, batch []roomsapi.Question) ([]roomsapi.Access, error) {
	var answer roomsapi.AccessResponse
	err := c.read(ctx, roomsapi.PathAccess, roomsapi.AccessRequest{Questions: batch}, &answer)
	return answer.Answers, err
}

// Tail returns the newest entries of a room.
func (c *Client) Tail(ctx context.Context, room chat.RoomID, limit, bytes int) (page roomsapi.Range, err error) {
	err = c.read(ctx, roomsapi.PathTail, roomsapi.TailRequest{Room: room, Limit: limit, Bytes: bytes}, &page)
	return page, err
}

// Entries returns entries of a room after a seq, oldest first.
func (c *Client) Entries(ctx context.Context, room chat.RoomID, after chat.Seq, limit, bytes int) (page roomsapi.Range, err error) {
	err = c.read(ctx, roomsapi.PathEntries, roomsapi.EntriesRequest{Room: room, After: after, Limit: limit, Bytes: bytes}, &page)
	return page, err
}

// History returns messages of a room in their current state, newest first.
func (c *Client) History(ctx context.Context, room chat.RoomID, before chat.Seq, limit int) (page roomsapi.History, err error) {
	err = c.read(ctx, roomsapi.PathHistory, roomsapi.HistoryRequest{Room: room, Before: before, Limit: limit}, &page)
	return page, err
}

// Heads returns how far the logs of the rooms changed lately reach.
func (c *Client) Heads(ctx context.Context) (heads []roomsapi.Head, err error) {
	var answer roomsapi.Heads
	err = c.read(ctx, roomsapi.PathHeads, struct{}{}, &answer)
	return answer.Heads, err
}

func (c *Client) read(ctx context.Context, path string, request, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	start := time.Now()
	err := c.caller.Post(ctx, path, request, answer)
	c.called(path, start, err)
	return err
}

// called measures a call.
func (c *Client) called(path string, start time.Time, err error) {
	result := "ok"
	if code := chat.CodeOf(err); code == chat.CodeUnavailable || code == chat.CodeInternal {
		result = "failed"
	}
	metric.Since(c.calls.WithLabelValues(callName(path), result), start, "")
}

// callName is a path's last part.
func callName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// Wait returns when nothing is under way. Nothing may be asked any more.
func (c *Client) Wait() {
	for _, lane := range c.appends {
		lane.Wait()
	}
	c.access.Wait()
}
