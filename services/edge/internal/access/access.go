// Package access decides nothing: it keeps what the rooms service has decided, for sockets, polls and event streams
// alike, and carries out what the lobbies tell.
package access

import (
	"context"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/services/edge/internal/feed"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// Asker asks the rooms service: roomsclient.Client.
type Asker interface {
	// Access asks what the bearer of token may do in a room.
	Access(ctx context.Context, token string, slug chat.Slug) (roomsapi.Access, error)
}

// Access lets users into rooms.
type Access struct {
	Feed  *feed.Feed
	Asker Asker
}

// ReaderOf is whom the grants of a token's user are for. Nobody signed in is a guest without an id.
func ReaderOf(c token.Claims) room.Reader {
	return room.Reader{Kind: roomsapi.Class(c.User), User: c.User.ID, Generation: c.Generation}
}

// Enter finds out whether a user may read a room and opens it, for a join, a long poll or a stream of events. The
// room has a grant of the user then, and must be released.
func (a *Access) Enter(ctx context.Context, claims token.Claims, raw string, slug chat.Slug) (*room.Room, error) {
	reader := ReaderOf(claims)
	if r := a.Feed.Rooms.Find(claims.Tenant, slug); r != nil && r.Admits(reader) {
		return a.Feed.Open(ctx, claims.Tenant, roomsapi.Access{ID: r.ID, Room: new(r.Info())}) // nobody needs to be asked
	}
	answer, err := a.Asker.Access(ctx, raw, slug)
	if err != nil {
		return nil, err
	}
	r, err := a.Feed.Open(ctx, claims.Tenant, answer)
	if err != nil {
		return nil, err
	}
	if !r.Grant(reader, answer) {
		a.Feed.Rooms.Release(r)
		return nil, room.ErrAskAgain
	}
	return r, nil
}
