package sqlstore

import (
	"context"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
)

// LobbyLog returns the name of the lobby's log.
func (s *Store) LobbyLog(ctx context.Context) (chat.LogID, error) { return s.feed.Name(ctx, s.db) }

// RenewLobby gives the lobby's log another name.
func (s *Store) RenewLobby(ctx context.Context, fresh chat.LogID) error {
	return s.feed.Renew(ctx, s.db, fresh)
}

// LobbyPage returns the events after a seq, oldest first, limit at most, with the log's name and
// head; those from since on, if that is not zero.
func (s *Store) LobbyPage(ctx context.Context, after chat.Seq, since time.Time, limit int) (lobby.Page, error) {
	return s.feed.Page(ctx, s.db, after, since, limit)
}

// PruneLobby deletes events from before a moment, a bounded number, and returns how many.
func (s *Store) PruneLobby(ctx context.Context, before time.Time) (int, error) {
	return s.feed.Prune(ctx, s.db, before)
}
