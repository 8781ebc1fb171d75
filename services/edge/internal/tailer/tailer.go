// Package tailer brings new entries into the hub. A room whose bell has rung is read from its Redis
// Stream, all such rooms in one round trip; what is missing there is filled from the log; and once a
// second the rooms service is asked how far the logs reach, so that Redis may lose everything.
package tailer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/services/edge/internal/hub"
)

// Streams reads rooms' streams: stream.Reader.
type Streams interface {
	// Read returns what the streams hold beyond each position, without waiting for more.
	Read(ctx context.Context, positions []stream.Position) (map[stream.Room][]roomsapi.Entry, error)
}

// Rooms is what the tailer needs of the hub.
type Rooms interface {
	ByKey(key stream.Room) *hub.Room
	ByID(id chat.RoomID) *hub.Room
	All() []*hub.Room
	Held() bool
	// Fill reads what the log has beyond what has been delivered, and delivers it.
	Fill(ctx context.Context, room *hub.Room) error
}

// fills bounds how many rooms are filled at a time.
const fills = 16

// Tailer brings new entries into the hub.
type Tailer struct {
	streams Streams
	rooms   Rooms
	heads   Heads
	bells   Bells
	log     *slog.Logger
	// Renewed is told of a room whose log went back in time: whoever is in it must begin anew.
	Renewed func(ctx context.Context, room *hub.Room)

	// Tracer is set before Run; nil is none.
	Tracer *trace.Tracer

	metrics metrics

	renewed time.Time                // of followHeads alone, as is
	told    map[chat.RoomID]chat.Seq // the heads, by the last answer
	young   []young                  // what it told of and may still come by itself

	mu      sync.Mutex
	dirty   map[*hub.Room]struct{} // to be read from the stream
	filling map[*hub.Room]bool     // out of the round until filled; true: rang meanwhile
	unfit   map[*hub.Room]struct{} // could not be filled: tried again once a second, whatever the heads say
	wake    chan struct{}
	slots   chan struct{}
	filled  sync.WaitGroup
}

// New makes a tailer; Run does its work.
func New(streams Streams, rooms Rooms, heads Heads, log *slog.Logger, registry prometheus.Registerer) *Tailer {
	t := &Tailer{
		streams: streams, rooms: rooms, heads: heads, log: log,
		dirty: map[*hub.Room]struct{}{}, filling: map[*hub.Room]bool{}, unfit: map[*hub.Room]struct{}{},
		wake: make(chan struct{}, 1), slots: make(chan struct{}, fills),
	}
	t.metrics = newMetrics(registry, t)
	return t
}

// SetBells gives the tailer the bells, which need to know whom they wake, before anything runs.
func (t *Tailer) SetBells(bells Bells) { t.bells = bells }

// Rang marks a room dirty: its log reaches seq, or must be looked at (0).
func (t *Tailer) Rang(key stream.Room, seq chat.Seq) {
	room := t.rooms.ByKey(key)
	if room == nil {
		return
	}
	if head, _, open := room.Ring(seq); open && (seq == 0 || seq > head) {
		t.Look(room)
	}
}

// Look marks an open room dirty.
func (t *Tailer) Look(room *hub.Room) {
	t.mu.Lock()
	if _, filling := t.filling[room]; filling {
		t.filling[room] = true
	} else {
		t.dirty[room] = struct{}{}
	}
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Resume marks every room dirty, after delivery was held back.
func (t *Tailer) Resume() {
	for _, room := range t.rooms.All() {
		t.Look(room)
	}
}

// Run reads dirty rooms and asks for heads until ctx ends.
func (t *Tailer) Run(ctx context.Context, ready func()) error {
	ready()
	var parts sync.WaitGroup
	parts.Go(func() { t.followHeads(ctx) })
	defer t.filled.Wait()
	defer parts.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.wake:
			if !t.rooms.Held() {
				t.round(ctx)
			}
		}
	}
}

// round reads all dirty rooms at once and delivers what they bring.
func (t *Tailer) round(ctx context.Context) {
	t.mu.Lock()
	dirty := t.dirty
	t.dirty = make(map[*hub.Room]struct{}, len(dirty))
	t.mu.Unlock()
	if len(dirty) == 0 {
		return
	}
	positions := make([]stream.Position, 0, len(dirty))
	told := make(map[*hub.Room]chat.Seq, len(dirty)) // before the read: what is told of meanwhile need not be in it
	for room := range dirty {
		head, rung, _ := room.Ring(0)
		told[room] = rung
		positions = append(positions, stream.Position{Room: room.Key, After: head})
	}
	start := time.Now()
	news, err := t.streams.Read(ctx, positions)
	if err != nil {
		t.metrics.failed.Inc()
	} else {
		metric.Since(t.metrics.read, start, "")
	}
	for room := range dirty {
		entries, found := news[room.Key]
		spans := t.follow(ctx, room, entries, start)
		head := room.Deliver(entries)
		t.delivered(entries, head, spans)
		switch {
		case err != nil || head < told[room] || found && (len(entries) == 0 || entries[len(entries)-1].Seq > head):
			t.fill(ctx, room)
		case len(entries) > 0: // there may be more than one page
			t.Look(room)
		}
	}
}

// fill takes the room out of the round and fills it in the background, so that it delays no other.
func (t *Tailer) fill(ctx context.Context, room *hub.Room) {
	t.mu.Lock()
	_, already := t.filling[room]
	if !already {
		t.filling[room] = false
	}
	t.mu.Unlock()
	if already {
		return
	}
	t.metrics.missing.Inc()
	t.filled.Go(func() {
		select {
		case t.slots <- struct{}{}:
			defer func() { <-t.slots }()
		case <-ctx.Done():
			return
		}
		err := t.rooms.Fill(ctx, room)
		t.mu.Lock()
		again := t.filling[room]
		delete(t.filling, room)
		if err != nil {
			t.unfit[room] = struct{}{}
		}
		t.mu.Unlock()
		switch {
		case errors.Is(err, hub.ErrRenewed):
			t.Renewed(ctx, room)
		case err != nil:
			t.log.DebugContext(ctx, "a room could not be filled", slog.Any("error", err))
		case again:
			t.Look(room)
		}
	})
}
