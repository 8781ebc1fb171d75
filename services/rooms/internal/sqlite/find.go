package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/sqlstore"
)

// Rooms implements room.Finder, all as of one instant.
func (s *Store) Rooms(ctx context.Context, keys []message.SlugKey) (found map[message.SlugKey]message.Room, seq chat.Seq, err error) {
	found = make(map[message.SlugKey]message.Room, len(keys))
	err = s.read(ctx, "look rooms up", func(tx *sql.Tx) error {
		if failed := tx.QueryRowContext(ctx, `SELECT coalesce(max(seq), 0) FROM rooms_lobby`).Scan(&seq); failed != nil {
			return failed
		}
		for _, key := range keys {
			room, failed := sqlstore.ScanRoomHead(tx.QueryRowContext(ctx, `SELECT `+roomColumns+` FROM rooms r WHERE tenant = ? AND slug = ? AND deleted_at IS NULL`, key.Tenant, key.Slug))
			if failed == nil {
				found[key] = room
			} else if !errors.Is(failed, sql.ErrNoRows) {
				return failed
			}
		}
		return nil
	})
	return found, seq, err
}
