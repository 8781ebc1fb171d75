package room

import (
	"context"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/rooms/internal/access"
	"github.com/parley-chat/parley/services/rooms/internal/message"
)

// Store keeps what is about rooms besides their logs. What is written goes through the message.
type Store interface {
	// Page returns living rooms in the order of their slugs, with their heads.
	Page(ctx context.Context, listing Listing) ([]message.Room, error)

	// Lobby returns the lobby's events after a seq, oldest first, limit at most, and its name and head,
	// all as of one instant. A since that is not zero skips the events before the first one of since or later.
	Lobby(ctx context.Context, after chat.Seq, since time.Time, limit int) (lobby.Page, error)

	// FillSearch writes what SearchFolded says of living rooms that an older release wrote last, so that
	// their names are found in all forms, and says of how many: 0 when none is left.
	FillSearch(ctx context.Context) (rooms int, err error)

	// HasRooms says whether there was ever a room, deleted or not.
	HasRooms(ctx context.Context) (bool, error)

	// RenewLogs gives every room's log and the lobby's a fresh name, in one transaction, and says how
	// many rooms there are.
	RenewLogs(ctx context.Context, fresh func() chat.LogID) (rooms int, err error)
}

// Finder looks rooms up, for whoever wants to go in.
type Finder interface {
	// Rooms returns the living rooms of these slugs with their heads, and the head of the lobby as it
	// was before: no event up to it is missing from what the rooms show.
	Rooms(ctx context.Context, keys []message.SlugKey) (map[message.SlugKey]message.Room, chat.Seq, error)
}

// Listing is a part of the room.
type Listing struct {
	Tenant chat.TenantID
	Listed access.Listed // the rooms of these settings
	User   chat.UserID   // and of a member's settings those that this one is a member of
	Search string        // as chat.Fold has it, contained in slug, name or description; empty for all
	Lower  string        // the same in lower case, for rooms that FillSearch has not come to
	After  chat.Slug     // starts behind this one
	Limit  int
}
