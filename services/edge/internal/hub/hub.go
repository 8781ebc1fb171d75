// Package hub holds the rooms that somebody on this edge follows: who is in them, the newest part of
// their logs, and the fan-out. It knows neither sockets nor Redis.
package hub

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
)

// Bounds of a replay, which with the frame around it always fits an outbox.
const (
	MaxReplay      = 1000
	maxReplayBytes = 256 << 10
)

// Log reads rooms' logs from the rooms service.
type Log interface {
	// Tail returns the newest entries. CodeNotFound if there is no such room.
	Tail(ctx context.Context, room chat.RoomID, limit, bytes int) (roomsapi.Range, error)
	// Entries returns entries after a seq, oldest first, at least one if there is one.
	Entries(ctx context.Context, room chat.RoomID, after chat.Seq, limit, bytes int) (roomsapi.Range, error)
	// History returns messages with ids below before, in their current state, newest first.
	History(ctx context.Context, room chat.RoomID, before chat.Seq, limit int) (roomsapi.History, error)
}

// Bell is where a room's news are heard of.
type Bell interface {
	// Subscribe returns when the bell is certain to be heard, or soon with an error when it can't be.
	Subscribe(ctx context.Context, room stream.Room) error
	// Unsubscribe takes back one Subscribe, whatever that returned.
	Unsubscribe(ctx context.Context, room stream.Room)
}

// linger is how long a room stays open after the last one has left it: after a blip everybody comes
// back to a room that is in memory.
const linger = 20 * time.Second

// openTimeout bounds the opening of a room.
const openTimeout = 5 * time.Second

// openings is how many rooms are opened at a time. After a deploy thousands of sockets ask for hundreds of
// rooms at once: asked for all together, answers would come so late that they were asked for again.
const openings = 8

// replays is how many pages are read from the log at a time for those who come from further back than memory
// reaches: a hundred clients that begin at the beginning took the processor from all who talk.
const replays = 2

// replayTimeout bounds such a read with the wait for its turn.
const replayTimeout = 10 * time.Second

// rememberedEvents is of how many rooms the last event of the lobby is remembered while nobody
// follows them: those that a decision of a moment ago may be about.
const rememberedEvents = 1 << 14

// Hub holds the open rooms.
type Hub struct {
	log     Log
	bell    Bell
	opened  func(*Room)
	logger  *slog.Logger
	metrics *metrics
	opening chan struct{} // as many as are being opened

	replaying chan struct{} // as many as pages are being read
	replays   singleflight.Group

	held atomic.Bool

	mu     sync.Mutex // never held while a Room's mu is waited for: one busy room would hold up all
	rooms  map[chat.RoomID]*Room
	byKey  map[stream.Room]*Room
	bySlug map[address]*Room
	events *lru.Cache[chat.RoomID, chat.Seq]
}

type address struct {
	tenant chat.TenantID
	slug   chat.Slug
}

// New makes a hub; Run closes rooms that nobody follows any more.
func New(log Log, logger *slog.Logger, m Registerer) *Hub {
	events, err := lru.New[chat.RoomID, chat.Seq](rememberedEvents)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Hub{
		log: log, logger: logger, metrics: newMetrics(m), events: events, opening: make(chan struct{}, openings), replaying: make(chan struct{}, replays),
		rooms: map[chat.RoomID]*Room{}, byKey: map[stream.Room]*Room{}, bySlug: map[address]*Room{},
	}
}

// Connect gives the hub its bell, and whom to tell of rooms that have opened, before anything runs:
// both need the hub themselves.
func (h *Hub) Connect(bell Bell, opened func(*Room)) { h.bell, h.opened = bell, opened }

// Find returns the open room with that slug, nil if it is not open.
func (h *Hub) Find(tenant chat.TenantID, slug chat.Slug) *Room {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bySlug[address{tenant, slug}]
}

// ByKey returns the open room of that log, nil if it is not open.
func (h *Hub) ByKey(key stream.Room) *Room {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.byKey[key]
}

// ByID returns the open room with that number, nil if it is not open.
func (h *Hub) ByID(id chat.RoomID) *Room {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rooms[id]
}

// All returns the open rooms.
func (h *Hub) All() []*Room {
	h.mu.Lock()
	defer h.mu.Unlock()
	rooms := make([]*Room, 0, len(h.rooms))
	for _, r := range h.rooms {
		rooms = append(rooms, r)
	}
	return rooms
}

// Hold stops or resumes all delivery and joining: an edge that has had no word from auth or rooms
// for too long can't know whom it may still tell anything. What is read by then is not delivered either.
func (h *Hub) Hold(held bool) (changed bool) { return h.held.Swap(held) != held }

// Held says whether delivery is held back.
func (h *Hub) Held() bool { return h.held.Load() }

// HandleRoom takes in an event of rooms' lobby. refused is asked for each member: the frames that it is
// told as it is taken out, nil if it stays. It returns the room, nil if it is not open.
func (h *Hub) HandleRoom(ctx context.Context, event lobby.Event, refused func(Member) []byte) *Room {
	h.mu.Lock()
	h.events.Add(event.RoomID, event.Seq)
	room := h.rooms[event.RoomID]
	gone := event.Kind == lobby.RoomDeleted
	if room != nil && gone {
		h.forget(room)
	}
	h.mu.Unlock()
	if room != nil {
		room.update(event.Seq, event.Room, gone, refused)
		if gone {
			room.hushBell(ctx, h.bell)
		}
	}
	return room
}

// Close ends a room whose log went back in time; its members must begin anew.
func (h *Hub) Close(ctx context.Context, room *Room) []Member {
	h.mu.Lock()
	if h.rooms[room.ID] == room {
		h.forget(room)
	}
	h.mu.Unlock()
	room.hushBell(ctx, h.bell)
	room.mu.Lock()
	defer room.mu.Unlock()
	room.closed = true
	room.interruptAll()
	room.stirWatchers()
	members := make([]Member, 0, len(room.members))
	for m := range room.members {
		members = append(members, m)
	}
	return members
}

// Forget closes all rooms, and forgets the lobby's events, after a restore from a backup.
func (h *Hub) Forget(ctx context.Context) {
	h.events.Purge()
	for _, room := range h.All() {
		h.Close(ctx, room)
	}
}

func (h *Hub) forget(r *Room) {
	delete(h.rooms, r.ID)
	delete(h.byKey, r.Key)
	if at := (address{r.Tenant, r.Slug}); h.bySlug[at] == r { // another room may have its slug by now
		delete(h.bySlug, at)
	}
	h.metrics.rooms.Set(float64(len(h.rooms)))
}

// Run closes rooms that nobody has followed for a while, until ctx ends.
func (h *Hub) Run(ctx context.Context, ready func()) error {
	ready()
	ticker := time.NewTicker(linger / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			for _, r := range h.closeIdle(time.Now()) {
				r.hushBell(ctx, h.bell)
			}
		}
	}
}

func (h *Hub) closeIdle(now time.Time) (closed []*Room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.rooms {
		if r.using > 0 || !r.mu.TryLock() { // somebody is at it: it is not idle
			continue
		}
		if len(r.members) == 0 && len(r.watchers) == 0 && now.Sub(r.idle) > linger {
			r.closed = true
			h.forget(r)
			closed = append(closed, r)
		}
		r.mu.Unlock()
	}
	return closed
}
