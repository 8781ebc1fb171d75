// Package feed brings entries into the rooms of an edge: a room of which Redis notifies is read from its stream, all
// such rooms in one round trip; what is missing there is filled from the log; and once a second the rooms service is
// asked how far the logs reach, so that Redis may lose everything. It opens rooms, and answers whoever follows one
// from a cursor on.
package feed

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// Log reads rooms' logs from the rooms service: roomsclient.Client.
type Log interface {
	// Tail returns the newest entries. CodeNotFound if there is no such room.
	Tail(ctx context.Context, room chat.RoomID, limit, bytes int) (roomsapi.Range, error)
	// Entries returns entries after a seq, oldest first, at least one if there is one.
	Entries(ctx context.Context, room chat.RoomID, after chat.Seq, limit, bytes int) (roomsapi.Range, error)
	// History returns messages with ids below before, in their current state, newest first.
	History(ctx context.Context, room chat.RoomID, before chat.Seq, limit int) (roomsapi.History, error)
	// Heads returns how far the logs of the rooms changed in the last 30 seconds reach.
	Heads(ctx context.Context) ([]roomsapi.Head, error)
}

// Streams reads rooms' streams: stream.Reader.
type Streams interface {
	// Read returns what the streams hold beyond each position, without waiting for more.
	Read(ctx context.Context, positions []stream.Position) (map[stream.Room][]roomsapi.Entry, error)
}

// Notifications is the connection on which Redis notifies of new entries: stream.Notifications.
type Notifications interface {
	// Subscribe returns when the room's notifications are certain to arrive, or soon with an error when they can't.
	Subscribe(ctx context.Context, room stream.Room) error
	// Unsubscribe takes back one Subscribe, whatever that returned.
	Unsubscribe(ctx context.Context, room stream.Room)
	Healthy() bool
	// Renew counts the connection as broken.
	Renew()
}

// Feed brings entries into rooms.
type Feed struct {
	Rooms *room.Rooms
	// Tracer is set before Run; nil is none.
	Tracer *trace.Tracer

	log           Log
	streams       Streams
	notifications Notifications
	logger        *slog.Logger
	metrics       *metrics

	opening   chan struct{} // as many as rooms are being opened
	replaying chan struct{} // as many as pages are being read
	replays   singleflight.Group

	heads heads // of followHeads alone

	mu          sync.Mutex
	dirty       map[*room.Room]struct{} // to be read from the stream
	filling     map[*room.Room]bool     // out of the round until filled; true: notified of meanwhile
	fillRetries map[*room.Room]struct{} // could not be filled: tried again once a second, whatever the heads say
	wake        chan struct{}
	slots       chan struct{}
	filled      sync.WaitGroup
}

// New makes a feed; Run does its work.
func New(rooms *room.Rooms, log Log, streams Streams, logger *slog.Logger, registry prometheus.Registerer) *Feed {
	f := &Feed{
		Rooms: rooms, log: log, streams: streams, logger: logger,
		opening: make(chan struct{}, openings), replaying: make(chan struct{}, replays),
		dirty: map[*room.Room]struct{}{}, filling: map[*room.Room]bool{}, fillRetries: map[*room.Room]struct{}{},
		wake: make(chan struct{}, 1), slots: make(chan struct{}, fills),
	}
	f.metrics = newMetrics(registry, f)
	return f
}

// SetNotifications gives the feed the notifications, which need to know whom they wake, before anything runs.
func (f *Feed) SetNotifications(n Notifications) { f.notifications = n }

// Run reads rooms that have news, asks for heads, and closes rooms that nobody has followed for a while, until ctx
// ends.
func (f *Feed) Run(ctx context.Context, ready func()) error {
	ready()
	var parts sync.WaitGroup
	parts.Go(func() { f.followHeads(ctx) })
	defer f.filled.Wait()
	parts.Go(func() { f.closeIdle(ctx) })
	defer parts.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
			if !f.Rooms.Held() {
				f.round(ctx)
			}
		}
	}
}

// closeIdle closes rooms that nobody follows any more, until ctx ends.
func (f *Feed) closeIdle(ctx context.Context) {
	ticker := time.NewTicker(room.Linger / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			for _, r := range f.Rooms.CloseIdle(time.Now()) {
				f.unsubscribe(ctx, r)
			}
		}
	}
}

// Close ends a room. Its members reconnect.
func (f *Feed) Close(ctx context.Context, r *room.Room) {
	for _, m := range f.Rooms.Close(r) {
		m.Reconnect()
	}
	f.unsubscribe(ctx, r)
}

// Apply takes in an event of rooms' lobby, as Rooms does.
func (f *Feed) Apply(ctx context.Context, event lobby.Event, judge room.Judge) (r *room.Room, unsure []room.Member) {
	r, unsure = f.Rooms.Apply(event, judge)
	if r != nil && event.Kind == lobby.RoomDeleted {
		f.unsubscribe(ctx, r)
	}
	return r, unsure
}

// Forget closes all rooms, and forgets the lobby's events, after a restore from a backup.
func (f *Feed) Forget(ctx context.Context) {
	f.Rooms.ForgetEvents()
	for _, r := range f.Rooms.All() {
		f.Close(ctx, r)
	}
}
