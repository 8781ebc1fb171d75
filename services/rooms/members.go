package rooms

import (
	"context"
	"log/slog"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/services/rooms/internal/access"
	"github.com/parley-chat/parley/services/rooms/internal/message"
)

// There are no calls yet to make a room private and to choose its members. Tests of the whole do it here, in the
// database, beside the pods that run: these and the edges find the change in the lobby within a second or so.

// SetPrivate makes a room of the default tenant one for its members alone, or ends that.
func SetPrivate(ctx context.Context, database string, slug chat.Slug, private bool) error {
	return withRoom(ctx, database, slug, func(s stores, room message.Room) error {
		_, err := s.rest.SetPrivate(ctx, room.ID, private, chat.At(time.Now()))
		return err
	})
}

// SetMember makes a user a member of a room of the default tenant with a role, or none with the role "".
func SetMember(ctx context.Context, database string, slug chat.Slug, user chat.UserID, role string) error {
	return withRoom(ctx, database, slug, func(s stores, room message.Room) error {
		_, err := s.rest.SetMember(ctx, access.MemberKey{Room: room.ID, User: user}, role, chat.At(time.Now()))
		return err
	})
}

func withRoom(ctx context.Context, database string, slug chat.Slug, do func(stores, message.Room) error) error {
	s, db, err := openStores(ctx, database, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer db.Close()
	key := message.SlugKey{Tenant: chat.DefaultTenant, Slug: slug}
	found, _, err := s.finder.Rooms(ctx, []message.SlugKey{key})
	if err != nil {
		return err
	}
	room, ok := found[key]
	if !ok {
		return access.NoRoom()
	}
	return do(s, room)
}
