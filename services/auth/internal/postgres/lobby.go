package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/auth/internal/record"
)

// LobbyLog returns the name of the lobby's log.
func (s *Store) LobbyLog(ctx context.Context) (log chat.LogID, err error) {
	if err := s.db.QueryRow(ctx, `SELECT log FROM auth_lobby WHERE tenant = '*'`).Scan(&log); err != nil {
		return "", fmt.Errorf("reading the lobby's name: %w", err)
	}
	return log, nil
}

// RenewLobby gives the lobby's log another name.
func (s *Store) RenewLobby(ctx context.Context, log chat.LogID) error {
	if _, err := s.db.Exec(ctx, `UPDATE auth_lobby SET log = $1 WHERE tenant = '*'`, log); err != nil {
		return fmt.Errorf("renewing the lobby's name: %w", err)
	}
	return nil
}

// LobbyPage returns the events after a seq, oldest first, limit at most, with the log's name and
// head; those from since on, if that is not zero.
func (s *Store) LobbyPage(ctx context.Context, after chat.Seq, since time.Time, limit int) (lobby.Page, error) {
	page := lobby.Page{Events: []lobby.Event{}}
	// The head is read first: all up to it is committed, since its row is locked until then.
	if err := s.db.QueryRow(ctx, `SELECT log, head FROM auth_lobby WHERE tenant = '*'`).Scan(&page.Log, &page.Head); err != nil {
		return page, fmt.Errorf("reading the lobby's head: %w", err)
	}
	if limit == 0 || after >= page.Head && since.IsZero() {
		return page, nil
	}
	if !since.IsZero() {
		// From the first of that age on, whole: clocks of pods may be apart, seqs are not.
		if err := s.db.QueryRow(ctx, `SELECT greatest($1, coalesce(min(seq) - 1, $2)) FROM auth_lobby_events WHERE at >= $3`,
			after, page.Head, since.UnixMilli()).Scan(&after); err != nil {
			return page, fmt.Errorf("looking for the lobby's first event: %w", err)
		}
	}
	events, err := collect(ctx, s.db, func(row pgx.CollectableRow) (lobby.Event, error) { return record.Event(row) },
		`SELECT event FROM auth_lobby_events WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3`, after, page.Head, limit)
	if err != nil {
		return page, fmt.Errorf("reading the lobby: %w", err)
	}
	page.Events = events
	return page, nil
}

// PruneLobby forgets events from before a moment.
func (s *Store) PruneLobby(ctx context.Context, before time.Time) error {
	// By seq, so that what is left has no hole.
	if _, err := s.db.Exec(ctx, `DELETE FROM auth_lobby_events WHERE seq < (SELECT min(seq) FROM auth_lobby_events WHERE at >= $1)`, before.UnixMilli()); err != nil {
		return fmt.Errorf("pruning the lobby: %w", err)
	}
	return nil
}
