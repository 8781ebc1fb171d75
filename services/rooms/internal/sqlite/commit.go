package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/sqlstore"
)

// Commit implements message.Store. It holds the only write lock from before it loads.
func (s *Store) Commit(ctx context.Context, need message.Need, decide func(message.Have) (message.Changes, error)) error {
	return s.write(ctx, func(tx *sql.Tx) (bool, error) {
		have, err := load(ctx, tx, need)
		if err != nil {
			return false, fmt.Errorf("lock and load: %w", err)
		}
		changes, err := decide(have)
		if err != nil || changes.Empty() {
			return false, err
		}
		return true, classify(write(ctx, tx, changes))
	})
}

// classify tells a refusal of the data from other failures. Before the commit all mean: not stored.
func classify(err error) error {
	if failure, ok := errors.AsType[*driver.Error](err); ok {
		switch failure.Code() & 0xff {
		case codes.SQLITE_CONSTRAINT, codes.SQLITE_MISMATCH, codes.SQLITE_TOOBIG:
			return fmt.Errorf("%w: %w", message.ErrRefused, err)
		}
	}
	return err
}

func load(ctx context.Context, tx *sql.Tx, need message.Need) (message.Have, error) {
	have := message.Have{
		Rooms:    make(map[chat.RoomID]message.Room, len(need.Rooms)),
		Nonces:   make(map[message.NonceKey]message.UsedNonce),
		Messages: make(map[message.Key]message.Entry),
		Taken:    make(map[message.SlugKey]bool),
	}
	for _, id := range need.Rooms {
		room, err := sqlstore.ScanRoomHead(tx.QueryRowContext(ctx, `SELECT `+roomColumns+` FROM rooms r WHERE id = ?`, id))
		if err == nil {
			have.Rooms[id] = room
		} else if !errors.Is(err, sql.ErrNoRows) {
			return have, err
		}
	}
	for _, key := range need.Nonces {
		var used message.UsedNonce
		var fingerprint []byte
		err := tx.QueryRowContext(ctx, `SELECT seq, fingerprint FROM room_nonces WHERE room_id = ? AND author_id = ? AND nonce = ?`,
			key.Room, key.Author, key.Nonce[:]).Scan(&used.Seq, &fingerprint)
		if err == nil {
			copy(used.Fingerprint[:], fingerprint)
			have.Nonces[key] = used
		} else if !errors.Is(err, sql.ErrNoRows) {
			return have, err
		}
	}
	for _, key := range need.Messages {
		var scan logScan
		err := tx.QueryRowContext(ctx, `SELECT `+logColumns+` FROM room_log l WHERE room_id = ? AND seq = ?`, key.Room, key.Seq).Scan(scan.dest()...)
		if err == nil {
			have.Messages[key] = scan.row()
		} else if !errors.Is(err, sql.ErrNoRows) {
			return have, err
		}
	}
	return have, loadLobby(ctx, tx, need, &have)
}

func loadLobby(ctx context.Context, tx *sql.Tx, need message.Need, have *message.Have) error {
	if need.Lobby {
		var err error
		have.Members = make(map[chat.RoomID][]chat.UserID)
		for _, id := range need.Rooms {
			if have.Members[id], err = sqlstore.MembersOf(ctx, database.OnSQLite(tx), id); err != nil {
				return err
			}
		}
		if have.LobbyLog, have.LobbyHead, err = sqlstore.Feed.Lock(ctx, database.OnSQLite(tx)); err != nil {
			return err
		}
	}
	for _, key := range need.Slugs {
		var taken bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM rooms WHERE tenant = ? AND slug = ?)`, key.Tenant, key.Slug).Scan(&taken); err != nil {
			return err
		}
		have.Taken[key] = taken
	}
	if need.NewRooms > 0 {
		var last chat.RoomID
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM rooms`).Scan(&last); err != nil {
			return err
		}
		for n := range need.NewRooms {
			have.NewRooms = append(have.NewRooms, last+chat.RoomID(n)+1)
		}
	}
	return nil
}

func write(ctx context.Context, tx *sql.Tx, c message.Changes) error {
	var err error
	exec := func(text string, args ...any) {
		if err == nil {
			_, err = tx.ExecContext(ctx, text, args...)
		}
	}
	for _, room := range c.Created {
		exec(`INSERT INTO rooms (id, tenant, slug, name, description, search, staff_only, allow_guests, owner, log, floor, created_at, updated_at, search_folded, search_folded_at, private, access_version)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?13, ?15, ?16)`,
			room.ID, room.Tenant, room.Slug, room.Name, room.Description, room.SearchText(), room.StaffOnly, room.AllowGuests,
			room.Owner, room.Log, room.Floor, room.CreatedAt.UnixMilli(), room.UpdatedAt.UnixMilli(), room.SearchFolded(),
			room.Private, room.AccessVersion)
	}
	for _, room := range c.Updated {
		exec(`UPDATE rooms SET name = ?2, description = ?3, search = ?4, staff_only = ?5, allow_guests = ?6, updated_at = ?7, deleted_at = ?8,
			search_folded = ?9, search_folded_at = ?7, private = ?10, access_version = ?11 WHERE id = ?1`,
			room.ID, room.Name, room.Description, room.SearchText(), room.StaffOnly, room.AllowGuests,
			room.UpdatedAt.UnixMilli(), message.Millis(room.DeletedAt), room.SearchFolded(), room.Private, room.AccessVersion)
	}
	if err == nil {
		err = announce(ctx, tx, c)
	}
	for _, row := range c.Messages {
		exec(`UPDATE room_log SET body = ?, edited_at = ?, deleted_by = ? WHERE room_id = ? AND seq = ?`,
			row.Body, message.Millis(row.EditedAt), row.DeletedBy, row.Room, row.Seq)
	}
	for key, used := range c.Nonces {
		exec(`INSERT INTO room_nonces (room_id, author_id, nonce, tenant, seq, fingerprint) VALUES (?, ?, ?, ?, ?, ?)`,
			key.Room, key.Author, key.Nonce[:], used.Tenant, used.Seq, used.Fingerprint[:])
	}
	newest := c.Newest()
	for _, row := range c.Entries {
		exec(`INSERT INTO room_log (room_id, seq, tenant, kind, message, author_id, author_name, author_kind, body, reply_to, nonce, at, edited_at, deleted_by, written)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, CASE WHEN ? THEN `+clock+` END)`,
			row.Room, row.Seq, row.Tenant, row.Kind, row.Message, row.Author.ID, row.Author.Name, row.Author.Kind, row.Body, row.ReplyTo, row.Nonce,
			row.At.UnixMilli(), message.Millis(row.EditedAt), row.DeletedBy, newest[row.Room] == row.Seq)
	}
	return err
}

// announce writes the events of the lobby and the audit entries.
func announce(ctx context.Context, tx *sql.Tx, c message.Changes) error {
	events, err := sqlstore.Feed.Append(c.Lobby...)
	if err != nil {
		return err
	}
	acts, err := sqlstore.Audit.Insert(c.Audit...)
	if err != nil {
		return err
	}
	return database.OnSQLite(tx).Batch(ctx, append(events, acts...)...)
}
