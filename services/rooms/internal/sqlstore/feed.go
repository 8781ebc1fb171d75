package sqlstore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/parley-chat/parley/pkg/changefeed"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
)

// Feed is the rooms' lobby. It is locked after the rooms that a transaction locks.
var Feed = changefeed.Feed{Log: "rooms_lobby_log", Events: "rooms_lobby", Format: eventFormat{}} //nolint:gochecknoglobals // a constant

// Lobby implements room.Store.
func (s *Store) Lobby(ctx context.Context, after chat.Seq, since time.Time, limit int) (lobby.Page, error) {
	return Feed.Page(ctx, s.db, after, since, limit)
}

// PruneLobby deletes events from before a moment, a bounded number, and returns how many.
func (s *Store) PruneLobby(ctx context.Context, before time.Time) (int, error) {
	return Feed.Prune(ctx, s.db, before)
}

// eventFormat is how an event is stored: its rooms as JSON, and what it says of access as another, which older releases
// pass over.
type eventFormat struct{}

// eventAccess is what an event says of access.
type eventAccess struct {
	Audience       *lobby.Audience `json:"audience,omitempty"`
	FormerAudience *lobby.Audience `json:"former_audience,omitempty"`
	Version        int64           `json:"version,omitempty"`
}

// Columns implements changefeed.Format.
func (eventFormat) Columns() []string { return []string{"kind", "room_id", "room", "before", "access"} }

// Values implements changefeed.Format.
func (eventFormat) Values(e lobby.Event) ([]any, error) {
	room, err := text(e.Room)
	if err != nil {
		return nil, err
	}
	before, err := text(e.Before)
	if err != nil {
		return nil, err
	}
	access, err := text(&eventAccess{e.Audience, e.FormerAudience, e.AccessVersion})
	return []any{e.Kind, e.RoomID, room, before, access}, err
}

// text is v as JSON, nil for nil.
func text[T any](v *T) (*string, error) {
	if v == nil {
		return nil, nil //nolint:nilnil // that is what the column holds
	}
	b, err := json.Marshal(v)
	return new(string(b)), err
}

// Scan implements changefeed.Format.
func (eventFormat) Scan(e *lobby.Event) (columns []any, complete func() error) {
	var room string
	var before, access *string
	return []any{&e.Kind, &e.RoomID, &room, &before, &access}, func() error {
		if err := json.Unmarshal([]byte(room), &e.Room); err != nil {
			return err
		}
		if before != nil {
			if err := json.Unmarshal([]byte(*before), &e.Before); err != nil {
				return err
			}
		}
		if access == nil { // of an older release
			return nil
		}
		var a eventAccess
		err := json.Unmarshal([]byte(*access), &a)
		e.Audience, e.FormerAudience, e.AccessVersion = a.Audience, a.FormerAudience, a.Version
		return err
	}
}
