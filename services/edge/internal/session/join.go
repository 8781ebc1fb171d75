package session

import (
	"context"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/hub"
)

// joinTries bounds how often a join starts over because an event came in between.
const joinTries = 4

func (s *Session) join(ctx context.Context, c wire.Command) error {
	if err := s.allow(s.budget.joins, 1, limitJoins); err != nil {
		return err
	}
	if c.After != nil && (*c.After < 0 || *c.After > chat.MaxSeq) {
		return chat.Errorf(chat.CodeBadRequest, `"after" is a cursor: 0 or more`)
	}
	if !c.Room.Valid() {
		return hub.ErrGone
	}
	s.mu.Lock()
	full := s.rooms[c.Room] == nil && len(s.rooms) >= s.Limits.Rooms
	s.mu.Unlock()
	if full {
		return chat.Errorf(chat.CodeForbidden, "a socket joins %d rooms at most", s.Limits.Rooms)
	}
	var err error
	for range joinTries {
		if err = s.tryJoin(ctx, c); chat.CodeOf(err) != chat.CodeUnavailable || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (s *Session) tryJoin(ctx context.Context, c wire.Command) error {
	claims, _ := s.Claims()
	room, lobbySeq, err := Enter(ctx, s.Shared, claims.Tenant, claims.User, s.currentToken(), c.Room)
	if err != nil {
		return err
	}
	defer s.Hub.Release(room)
	join := hub.Join{After: c.After, Log: c.Log, Limit: pageSize(c.Limit)}
	_, err = s.room(c.Room)
	fresh := err != nil
	if fresh { // before the answer, which names who is there
		s.Presence.Enter(ctx, room, claims.User)
	}
	err = s.Hub.Join(ctx, room, s, roomsapi.Class(claims.User), lobbySeq, join, func(snapshot hub.Snapshot) func() {
		frame := appendFrame(nil, s.joined(c, room, snapshot))
		return func() {
			s.mu.Lock()
			s.rooms[room.Slug] = room
			s.mu.Unlock()
			s.Tell(frame)
		}
	})
	if err != nil && fresh {
		s.Presence.Exit(room, claims.User, false)
	}
	return err
}

func (s *Session) currentToken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

func (s *Session) joined(c wire.Command, room *hub.Room, snapshot hub.Snapshot) wire.Joined {
	users, count := s.Presence.Members(room)
	return wire.Joined{
		Type: "joined", ID: c.ID, Room: snapshot.Info, Cursor: snapshot.Cursor,
		Messages: snapshot.Messages, Events: snapshot.Events, HasMore: snapshot.HasMore, Recovered: snapshot.Recovered,
		Members: users, MemberCount: count,
	}
}

// Enter finds out whether a user may read a room and opens it, for a join, a long poll or a stream of
// events. It returns the seq of the lobby at which that was decided. The room must be released.
func Enter(ctx context.Context, shared *Shared, tenant chat.TenantID, user chat.User, token string, slug chat.Slug) (*hub.Room, chat.Seq, error) {
	class := roomsapi.Class(user)
	if room := shared.Hub.Find(tenant, slug); room != nil && room.Admits(class) {
		// Everybody of the class has access, and the room is open: nobody needs to be asked.
		opened, err := shared.Hub.Open(ctx, tenant, roomsapi.Access{ID: room.ID, Room: new(room.Info())})
		return opened, 0, err
	}
	access, err := shared.Rooms.Access(ctx, token, slug)
	if err != nil {
		return nil, 0, err
	}
	room, err := shared.Hub.Open(ctx, tenant, access)
	if err != nil {
		return nil, 0, err
	}
	if !room.Grant(class, access.ForAll, access.Lobby) {
		shared.Hub.Release(room)
		return nil, 0, chat.Errorf(chat.CodeUnavailable, "the room's access is changing, try again")
	}
	return room, access.Lobby, nil
}
