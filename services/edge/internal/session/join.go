package session

import (
	"context"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/access"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// joinTries bounds how often a join starts over because an event came in between.
const joinTries = 4

func (s *Session) join(ctx context.Context, c call) error {
	if c.After != nil && (*c.After < 0 || *c.After > chat.MaxSeq) {
		return chat.Errorf(chat.CodeBadRequest, `"after" is a cursor: 0 or more`)
	}
	if !c.Room.Valid() {
		return room.ErrGone
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

func (s *Session) tryJoin(ctx context.Context, c call) error {
	claims, _ := s.Claims()
	r, err := s.Access.Enter(ctx, claims, s.Token(), c.Room)
	if err != nil {
		return err
	}
	defer s.Feed.Rooms.Release(r)
	join := room.Join{After: c.After, Log: c.Log, Limit: pageSize(c.Limit)}
	_, err = s.joinedRoom(c.Room)
	fresh := err != nil
	if fresh { // before the answer, which names who is there
		s.Presence.Enter(ctx, r, claims.User)
	}
	err = s.Feed.Join(ctx, r, s, access.ReaderOf(claims), join, func(snapshot room.Snapshot) func() {
		frame := wire.AppendJSON(nil, s.joined(c, r, snapshot))
		return func() {
			s.mu.Lock()
			s.rooms[r.Slug] = r
			s.mu.Unlock()
			s.Tell(frame)
		}
	})
	if err != nil && fresh {
		s.Presence.Exit(r, claims.User, false)
	}
	return err
}

// Token is the token that claims are of.
func (s *Session) Token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

func (s *Session) joined(c call, r *room.Room, snapshot room.Snapshot) wire.Joined {
	users, count := s.Presence.Members(r)
	return wire.Joined{
		Type: "joined", ID: c.ID, Room: snapshot.Info, Cursor: snapshot.Cursor,
		Messages: snapshot.Messages, Events: snapshot.Events, HasMore: snapshot.HasMore, Recovered: snapshot.Recovered,
		Members: users, MemberCount: count,
	}
}
