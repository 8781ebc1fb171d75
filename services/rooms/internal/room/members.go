package room

import (
	"context"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/rooms/internal/access"
	"github.com/parley-chat/parley/services/rooms/internal/message"
)

// Members tells what users are in rooms.
type Members = message.Members

// AccessStore changes who may do what in a room. Each change raises the version of the room's access and tells the lobby
// in its own transaction. A room that is missing or deleted is access.NoRoom.
type AccessStore interface {
	// SetMember makes a user a member of a room with a role, or none with the role "".
	SetMember(ctx context.Context, key access.MemberKey, role string, at chat.Time) (AccessChange, error)
	// SetPrivate makes a room one for its members alone, or one for all that its other settings let in.
	SetPrivate(ctx context.Context, room chat.RoomID, private bool, at chat.Time) (AccessChange, error)
}

// AccessChange is what the lobby was told of a change.
type AccessChange struct {
	Log   chat.LogID
	Event lobby.Event
}
