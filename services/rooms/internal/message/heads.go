package message

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

const (
	// headsEvery is how often the store is asked.
	headsEvery = 500 * time.Millisecond
	// headsKept is how long a change is told.
	headsKept = 30 * time.Second
	// headsMargin is how much further back each query looks than the one before it ended: an entry
	// gets its time some milliseconds before its commit lets others see it.
	headsMargin = 5 * time.Second
	// headsTimeout bounds one query.
	headsTimeout = 5 * time.Second
)

// Heads remember how far the logs reach that changed in the last 30 seconds, for edges to find what
// Redis did not bring. They hold one small entry for each such room.
type Heads struct {
	store Store
	log   *slog.Logger
	now   func() time.Time

	mu     sync.Mutex
	rooms  map[chat.RoomID]headAt
	polled time.Time // the start of the last query that succeeded
}

type headAt struct {
	head chat.Seq
	at   time.Time
}

func newHeads(store Store, log *slog.Logger, reg prometheus.Registerer, now func() time.Time) *Heads {
	h := &Heads{store: store, log: log, now: now, rooms: make(map[chat.RoomID]headAt)}
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "parley_rooms_heads_age_seconds",
		Help: "How long ago the store last told which logs changed.",
	}, func() float64 {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.polled.IsZero() {
			return 0
		}
		return h.now().Sub(h.polled).Seconds()
	})
	return h
}

// Run asks the store twice a second until ctx ends. It is ready once it has asked with success.
func (h *Heads) Run(ctx context.Context, ready func()) error {
	ticker := time.NewTicker(headsEvery)
	defer ticker.Stop()
	for started, failing := false, false; ; {
		err := h.poll(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if (err != nil) != failing {
			failing = err != nil
			h.log.WarnContext(ctx, "the database tells heads or not", slog.Bool("tells", !failing), slog.Any("error", err))
		}
		if err == nil && !started {
			started = true
			ready()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// poll asks for what changed since the last query that succeeded, and a margin.
func (h *Heads) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, headsTimeout)
	defer cancel()
	now := h.now()
	h.mu.Lock()
	within := headsKept
	if !h.polled.IsZero() {
		within = min(headsKept, now.Sub(h.polled)) + headsMargin
	}
	h.mu.Unlock()
	recent, err := h.store.Recent(ctx, within)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.polled = now
	for _, r := range recent {
		h.raise(r.Room, r.Head, now.Add(-time.Duration(r.AgeMS)*time.Millisecond))
	}
	for id, head := range h.rooms {
		if now.Sub(head.at) > headsKept {
			delete(h.rooms, id)
		}
	}
	return nil
}

// note takes in what this pod just committed.
func (h *Heads) note(room chat.RoomID, head chat.Seq) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.raise(room, head, h.now())
}

func (h *Heads) raise(room chat.RoomID, head chat.Seq, at time.Time) {
	if head > h.rooms[room].head {
		h.rooms[room] = headAt{head: head, at: at}
	}
}

// Recent returns the rooms changed in the last 30 seconds, from memory.
func (h *Heads) Recent() []roomsapi.Head {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	recent := make([]roomsapi.Head, 0, len(h.rooms))
	for id, head := range h.rooms {
		if age := now.Sub(head.at); age <= headsKept {
			recent = append(recent, roomsapi.Head{Room: id, Head: head.head, AgeMS: max(0, age.Milliseconds())})
		}
	}
	return recent
}
