package feed

import (
	"context"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// Notified has a room's stream read: its log reaches seq, or must be looked at (0).
func (f *Feed) Notified(key stream.Room, seq chat.Seq) {
	r := f.Rooms.ByKey(key)
	if r == nil {
		return
	}
	if head, _, loaded := r.Notify(seq); loaded && (seq == 0 || seq > head) {
		f.Look(r)
	}
}

// Look has an open room's stream read.
func (f *Feed) Look(r *room.Room) {
	f.mu.Lock()
	if _, filling := f.filling[r]; filling {
		f.filling[r] = true
	} else {
		f.dirty[r] = struct{}{}
	}
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Resume has all rooms read, after delivery was held back.
func (f *Feed) Resume() {
	for _, r := range f.Rooms.All() {
		f.Look(r)
	}
}

// round reads all dirty rooms at once and delivers what they bring.
func (f *Feed) round(ctx context.Context) {
	f.mu.Lock()
	dirty := f.dirty
	f.dirty = make(map[*room.Room]struct{}, len(dirty))
	f.mu.Unlock()
	if len(dirty) == 0 {
		return
	}
	positions := make([]stream.Position, 0, len(dirty))
	expected := make(map[*room.Room]chat.Seq, len(dirty)) // before the read: what is notified of meanwhile need not be in it
	for r := range dirty {
		head, notified, _ := r.Notify(0)
		expected[r] = notified
		positions = append(positions, stream.Position{Room: r.Key, After: head})
	}
	start := time.Now()
	found, err := f.streams.Read(ctx, positions)
	if err != nil {
		f.metrics.failed.Inc()
	} else {
		metric.Since(f.metrics.read, start, "")
	}
	for r := range dirty {
		entries, some := found[r.Key]
		spans := f.traceEntries(ctx, r, entries, start)
		head := r.Deliver(entries)
		f.measureDelivery(entries, head, spans)
		switch {
		case err != nil || head < expected[r] || some && (len(entries) == 0 || entries[len(entries)-1].Seq > head):
			f.fillLater(ctx, r)
		case len(entries) > 0: // there may be more than one page
			f.Look(r)
		}
	}
}
