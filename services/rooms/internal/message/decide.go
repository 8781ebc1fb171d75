package message

import (
	"context"
	"errors"
	"sync"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/services/rooms/internal/access"
)

// Members tells what users are in rooms.
type Members interface {
	// Roles returns the memberships of these users in these rooms. Who is no member is not in the map.
	Roles(ctx context.Context, keys []access.MemberKey) (map[access.MemberKey]access.Membership, error)
}

// errOtherRoom says that a room is not, or not any more, the one that was decided on.
var errOtherRoom = errors.New("the room's access is another than the one decided on")

// decided are the decisions on a batch, by the places of its entries, and the rooms as they were decided on.
type decided struct {
	rooms map[chat.RoomID]access.Room
	by    []access.Decision
}

// decide decides on the chosen entries. Memberships are looked up only for private rooms, and after the rooms: one
// that has changed since has raised its room's version. Rooms that this pod has not seen yet it sees under the lock.
func (l *Log) decide(ctx context.Context, appends []Append, chosen []int) (decided, error) {
	d := decided{rooms: l.seen.rooms(appends, chosen), by: make([]access.Decision, len(appends))}
	var private []access.MemberKey
	asked := map[access.MemberKey]bool{}
	for _, i := range chosen {
		if key := memberKey(&appends[i]); d.rooms[key.Room].Private && !asked[key] {
			asked[key] = true
			private = append(private, key)
		}
	}
	var roles map[access.MemberKey]access.Membership
	if len(private) > 0 {
		var err error
		if roles, err = l.members.Roles(ctx, private); err != nil {
			return d, l.failed(ctx, err)
		}
	}
	for _, i := range chosen {
		a := &appends[i]
		if room, ok := d.rooms[a.Room]; ok {
			d.by[i] = l.rules.Decide(a.subject(), effects[a.Kind].action, room, roles[memberKey(a)])
		}
	}
	return d, nil
}

func memberKey(a *Append) access.MemberKey { return access.MemberKey{Room: a.Room, User: a.Author.ID} }

// maxSeen bounds the rooms that are remembered. Beyond, all are forgotten, and seen again under the lock.
const maxSeen = 20_000

// seenRooms remembers what this pod last saw of who may do what in a room, under the room's lock.
type seenRooms struct {
	mu sync.Mutex
	of map[chat.RoomID]access.Room
}

// rooms returns what is remembered of the rooms of the chosen entries.
func (s *seenRooms) rooms(appends []Append, chosen []int) map[chat.RoomID]access.Room {
	known := make(map[chat.RoomID]access.Room)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range chosen {
		id := appends[i].Room
		if room, ok := s.of[id]; ok {
			known[id] = room
		}
	}
	return known
}

// see remembers a room as it is.
func (s *seenRooms) see(room Room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil || len(s.of) >= maxSeen {
		s.of = make(map[chat.RoomID]access.Room)
	}
	s.of[room.ID] = room.Access()
}
