package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/room"
)

// settingsBit is access.Settings.Bit of r.
func settingsBit(d database.Dialect) string {
	if d.Postgres() {
		return `(r.staff_only::int + 2 * r.allow_guests::int + 4 * r.private::int)`
	}
	return `(r.staff_only + 2 * r.allow_guests + 4 * r.private)`
}

// Page implements room.Store.
func (s *Store) Page(ctx context.Context, l room.Listing) ([]message.Room, error) {
	bit := settingsBit(s.db.Dialect())
	rooms, err := database.Collect(ctx, s.db, ScanRoomHead, `SELECT `+RoomColumns+`, `+headOf(s.db.Dialect())+` FROM rooms r
		WHERE r.tenant = $1 AND r.slug > $2 AND r.deleted_at IS NULL
			AND CASE WHEN r.search_folded_at = r.updated_at THEN r.search_folded LIKE $3 ESCAPE '\' ELSE r.search LIKE $4 ESCAPE '\' END
			AND ((CAST($5 AS integer) >> `+bit+`) & 1 = 1 OR (CAST($6 AS integer) >> `+bit+`) & 1 = 1
				AND EXISTS (SELECT 1 FROM room_members m WHERE m.room_id = r.id AND m.user_id = $7))
		ORDER BY r.slug LIMIT $8`,
		l.Tenant, l.After, containing(l.Search), containing(l.Lower), l.Listed.All, l.Listed.OfMember, l.User, l.Limit)
	if err != nil {
		return nil, fmt.Errorf("list rooms: %w", err)
	}
	return rooms, nil
}

// containing is the pattern of texts that contain text.
func containing(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
}

// fillAtOnce bounds one filling, so that it holds its locks shortly.
const fillAtOnce = 1000

// FillSearch implements room.Store. It locks what it fills in, and passes over what others have locked.
func (s *Store) FillSearch(ctx context.Context) (filled int, _ error) {
	err := s.db.InTx(ctx, func(tx database.Querier) error {
		rooms, err := database.Collect(ctx, tx, func(row database.Row) (message.Room, error) { return ScanRoom(row) }, `SELECT `+RoomColumns+` FROM rooms r
			WHERE r.deleted_at IS NULL AND r.search_folded_at IS DISTINCT FROM r.updated_at ORDER BY r.id LIMIT $1`+
			tx.Dialect().Locking("FOR NO KEY UPDATE SKIP LOCKED"), fillAtOnce)
		if err != nil {
			return err
		}
		fill := make([]database.Statement, len(rooms))
		for i, room := range rooms {
			fill[i] = database.Statement{
				Text: `UPDATE rooms SET search_folded = $2, search_folded_at = updated_at WHERE id = $1`, Args: []any{room.ID, room.SearchFolded()},
			}
		}
		filled = len(rooms)
		return tx.Batch(ctx, fill...)
	})
	if err != nil {
		return 0, fmt.Errorf("fill the search in: %w", err)
	}
	return filled, nil
}
