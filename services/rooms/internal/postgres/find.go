package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/sqlstore"
)

// Rooms implements room.Finder: two statements, each with a snapshot of its own, the lobby first.
func (s *Store) Rooms(ctx context.Context, keys []message.SlugKey) (map[message.SlugKey]message.Room, chat.Seq, error) {
	tenants, slugs := make([]string, len(keys)), make([]string, len(keys))
	for i, key := range keys {
		tenants[i], slugs[i] = string(key.Tenant), string(key.Slug)
	}
	found := make(map[message.SlugKey]message.Room, len(keys))
	var seq chat.Seq
	batch := &pgx.Batch{}
	batch.Queue(`SELECT coalesce(max(seq), 0) FROM rooms_lobby`).QueryRow(func(row pgx.Row) error { return row.Scan(&seq) })
	batch.Queue(`SELECT `+sqlstore.RoomColumns+`, `+headOf+` FROM rooms r WHERE deleted_at IS NULL AND (tenant, slug) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
		tenants, slugs).Query(func(rows pgx.Rows) error {
		return each(rows, func() error {
			room, err := sqlstore.ScanRoomHead(rows)
			found[message.SlugKey{Tenant: room.Tenant, Slug: room.Slug}] = room
			return err
		})
	})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return nil, 0, failed("look rooms up", err)
	}
	return found, seq, nil
}
