package room

import (
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
)

// Linger is how long a room stays open after the last one has left it: after a blip everybody comes
// back to a room that is in memory.
const Linger = 20 * time.Second

// rememberedEvents is of how many rooms the last event of the lobby is remembered while nobody
// follows them: those that a decision of a moment ago may be about.
const rememberedEvents = 1 << 14

// Rooms are the open rooms.
type Rooms struct {
	held atomic.Bool
	open prometheus.Gauge

	mu     sync.Mutex // never held while a Room's mu is waited for: one busy room would hold up all
	rooms  map[chat.RoomID]*Room
	byKey  map[stream.Room]*Room
	bySlug map[address]*Room
	events *lru.Cache[chat.RoomID, changes]
}

type address struct {
	tenant chat.TenantID
	slug   chat.Slug
}

// NewRooms makes an edge's set of open rooms.
func NewRooms(registry prometheus.Registerer) *Rooms {
	events, err := lru.New[chat.RoomID, changes](rememberedEvents)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Rooms{
		open:   promauto.With(registry).NewGauge(prometheus.GaugeOpts{Name: "parley_edge_open_rooms", Help: "Rooms that somebody on this edge follows."}),
		events: events, rooms: map[chat.RoomID]*Room{}, byKey: map[stream.Room]*Room{}, bySlug: map[address]*Room{},
	}
}

// Use returns the room that access names, and whether it was made, with the source that newSource made: then it must be
// loaded. It stays open until it is released.
func (s *Rooms) Use(tenant chat.TenantID, access roomsapi.Access, newSource func() any) (room *Room, made bool) {
	s.mu.Lock()
	room = s.rooms[access.ID]
	made = room == nil
	if made {
		before, _ := s.events.Get(access.ID)
		room = &Room{
			ID: access.ID, Tenant: tenant, Slug: access.Room.Slug, Key: stream.Room{Tenant: tenant, Log: access.Room.Log}, Source: newSource(),
			info: *access.Room, infoAt: access.Lobby, idle: time.Now(), held: &s.held,
			members: map[Member]struct{}{}, watchers: map[*Watcher]struct{}{}, grants: grants{before, map[Reader]grant{}},
		}
		s.rooms[room.ID], s.byKey[room.Key], s.bySlug[address{tenant, room.Slug}] = room, room, room
		s.open.Set(float64(len(s.rooms)))
	}
	room.using++
	s.mu.Unlock()
	if !made {
		room.mu.Lock()
		room.learn(access.Lobby, access.Room) // it may have been opened by an older answer
		room.mu.Unlock()
	}
	return room, made
}

// Release says that whoever uses the room does not need it any longer to stay open.
func (s *Rooms) Release(room *Room) {
	room.mu.Lock()
	room.idle = time.Now()
	room.mu.Unlock()
	s.mu.Lock()
	room.using--
	s.mu.Unlock()
}

// Find returns the open room with that slug, nil if it is not open.
func (s *Rooms) Find(tenant chat.TenantID, slug chat.Slug) *Room {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bySlug[address{tenant, slug}]
}

// ByKey returns the open room of that log, nil if it is not open.
func (s *Rooms) ByKey(key stream.Room) *Room {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byKey[key]
}

// ByID returns the open room with that number, nil if it is not open.
func (s *Rooms) ByID(id chat.RoomID) *Room {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rooms[id]
}

// All returns the open rooms.
func (s *Rooms) All() []*Room {
	s.mu.Lock()
	defer s.mu.Unlock()
	rooms := make([]*Room, 0, len(s.rooms))
	for _, r := range s.rooms {
		rooms = append(rooms, r)
	}
	return rooms
}

// Hold stops or resumes all delivery and joining: an edge that has had no word from auth or rooms
// for too long can't know whom it may still tell anything. What is read by then is not delivered either.
func (s *Rooms) Hold(held bool) (changed bool) { return s.held.Swap(held) != held }

// Held says whether delivery is held back.
func (s *Rooms) Held() bool { return s.held.Load() }

// Apply takes in an event of rooms' lobby: judge is asked for each member of the room. It returns the room, nil if it
// is not open, and the members that are suspended since judge was unsure.
func (s *Rooms) Apply(event lobby.Event, judge Judge) (room *Room, unsure []Member) {
	s.mu.Lock()
	before, _ := s.events.Get(event.RoomID)
	before.add(event)
	s.events.Add(event.RoomID, before)
	room = s.rooms[event.RoomID]
	if room != nil && event.Kind == lobby.RoomDeleted {
		s.remove(room)
	}
	s.mu.Unlock()
	if room != nil {
		unsure = room.update(event, judge)
	}
	return room, unsure
}

// Close ends a room: its members, which it returns, must begin anew.
func (s *Rooms) Close(room *Room) []Member {
	s.mu.Lock()
	if s.rooms[room.ID] == room {
		s.remove(room)
	}
	s.mu.Unlock()
	room.mu.Lock()
	defer room.mu.Unlock()
	room.closed = true
	room.interruptAll()
	room.notifyWatchers()
	return room.all()
}

// ForgetEvents forgets the lobby's events, after a restore from a backup.
func (s *Rooms) ForgetEvents() { s.events.Purge() }

func (s *Rooms) remove(r *Room) {
	delete(s.rooms, r.ID)
	delete(s.byKey, r.Key)
	if at := (address{r.Tenant, r.Slug}); s.bySlug[at] == r { // another room may have its slug by now
		delete(s.bySlug, at)
	}
	s.open.Set(float64(len(s.rooms)))
}

// CloseIdle closes the rooms that nobody has followed for a while, and returns them.
func (s *Rooms) CloseIdle(now time.Time) (closed []*Room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rooms {
		if r.using > 0 || !r.mu.TryLock() { // somebody is at it: it is not idle
			continue
		}
		if len(r.members)+len(r.suspended)+len(r.watchers) == 0 && now.Sub(r.idle) > Linger {
			r.closed = true
			s.remove(r)
			closed = append(closed, r)
		}
		r.mu.Unlock()
	}
	return closed
}
