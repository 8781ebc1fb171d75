// Package sqlstore keeps what is not the logs themselves, once for PostgreSQL and SQLite: lists of rooms and their
// search, members, the lobby. What a message goes through is in the packages postgres and sqlite.
package sqlstore

import (
	"context"
	"fmt"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/services/rooms/internal/message"
)

// Store is on one database. The schema is brought up to date by the packages postgres and sqlite.
type Store struct{ db database.DB }

// New makes a store.
func New(db database.DB) *Store { return &Store{db} }

// RoomColumns are the columns of rooms AS r that ScanRoom reads.
const RoomColumns = `r.id, r.tenant, r.slug, r.name, r.description, r.staff_only, r.allow_guests, r.private, r.access_version, r.owner, r.log, r.floor, r.created_at, r.updated_at, coalesce(r.deleted_at, 0)`

// ScanRoom reads the RoomColumns of a row, and more columns behind them.
func ScanRoom(row database.Row, more ...any) (message.Room, error) {
	var r message.Room
	var created, updated, deleted int64
	dest := []any{
		&r.ID, &r.Tenant, &r.Slug, &r.Name, &r.Description, &r.StaffOnly, &r.AllowGuests, &r.Private, &r.AccessVersion, &r.Owner, &r.Log, &r.Floor,
		&created, &updated, &deleted,
	}
	err := row.Scan(append(dest, more...)...)
	r.CreatedAt, r.UpdatedAt, r.DeletedAt = message.FromMillis(created), message.FromMillis(updated), message.FromMillis(deleted)
	return r, err
}

// ScanRoomHead reads the RoomColumns and then the room's head.
func ScanRoomHead(row database.Row) (message.Room, error) {
	var head chat.Seq
	room, err := ScanRoom(row, &head)
	room.Head = head
	return room, err
}

// headOf is the head of the log of r. A log that retention emptied ends below its floor.
func headOf(d database.Dialect) string {
	greatest := "max"
	if d.Postgres() {
		greatest = "greatest"
	}
	return greatest + `(r.floor - 1, coalesce((SELECT max(seq) FROM room_log WHERE room_id = r.id), 0))`
}

// HasRooms implements room.Store.
func (s *Store) HasRooms(ctx context.Context) (had bool, err error) {
	if err := s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM rooms)`).Scan(&had); err != nil {
		return false, fmt.Errorf("look for rooms: %w", err)
	}
	return had, nil
}

// RenewLogs implements room.Store.
func (s *Store) RenewLogs(ctx context.Context, fresh func() chat.LogID) (rooms int, err error) {
	err = s.db.InTx(ctx, func(tx database.Querier) error {
		renew, failed := database.Collect(ctx, tx, func(row database.Row) (s database.Statement, err error) {
			var id chat.RoomID
			err = row.Scan(&id)
			return database.Statement{Text: `UPDATE rooms SET log = $2 WHERE id = $1`, Args: []any{id, fresh()}}, err
		}, `SELECT id FROM rooms ORDER BY id`+tx.Dialect().Locking("FOR NO KEY UPDATE"))
		if failed != nil {
			return failed
		}
		rooms = len(renew)
		if failed = tx.Batch(ctx, renew...); failed != nil {
			return failed
		}
		return Feed.Renew(ctx, tx, fresh())
	})
	if err != nil {
		return 0, fmt.Errorf("renew the logs' names: %w", err)
	}
	return rooms, nil
}
