package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/room"
)

// Rooms implements room.Store, all as of one instant.
func (s *Store) Rooms(ctx context.Context, keys []message.SlugKey) (found map[message.SlugKey]message.Room, seq chat.Seq, err error) {
	found = make(map[message.SlugKey]message.Room, len(keys))
	err = s.read(ctx, "look rooms up", func(tx *sql.Tx) error {
		if failed := tx.QueryRowContext(ctx, `SELECT coalesce(max(seq), 0) FROM rooms_lobby`).Scan(&seq); failed != nil {
			return failed
		}
		for _, key := range keys {
			room, failed := scanRoom(tx.QueryRowContext(ctx, `SELECT `+roomColumns+` FROM rooms r WHERE tenant = ? AND slug = ? AND deleted_at IS NULL`, key.Tenant, key.Slug))
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

// Page implements room.Store.
func (s *Store) Page(ctx context.Context, listing room.Listing) (rooms []message.Room, err error) {
	err = s.read(ctx, "list rooms", func(tx *sql.Tx) error {
		return query(ctx, tx, func(rows *sql.Rows) error {
			room, failed := scanRoom(rows)
			rooms = append(rooms, room)
			return failed
		}, `SELECT `+roomColumns+` FROM rooms r
			WHERE tenant = ?1 AND slug > ?2 AND deleted_at IS NULL
				AND CASE WHEN search_folded_at = updated_at THEN search_folded LIKE ?3 ESCAPE '\' ELSE search LIKE ?4 ESCAPE '\' END
				AND (?5 = 2 OR NOT staff_only AND (?5 = 1 OR allow_guests))
			ORDER BY slug LIMIT ?6`, listing.Tenant, listing.After, containing(listing.Search), containing(listing.Lower), int(listing.Audience), listing.Limit)
	})
	return rooms, err
}

// containing is the pattern of texts that contain text.
func containing(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
}

// fillAtOnce bounds one filling, so that it holds the write lock shortly.
const fillAtOnce = 1000

// FillSearch implements room.Store.
func (s *Store) FillSearch(ctx context.Context) (int, error) {
	var rooms []message.Room
	err := s.write(ctx, func(tx *sql.Tx) (bool, error) {
		err := query(ctx, tx, func(rows *sql.Rows) error {
			room, err := scanRoom(rows)
			rooms = append(rooms, room)
			return err
		}, `SELECT `+roomColumns+` FROM rooms r WHERE deleted_at IS NULL AND search_folded_at IS NOT updated_at ORDER BY id LIMIT ?`, fillAtOnce)
		for _, room := range rooms {
			if err == nil {
				_, err = tx.ExecContext(ctx, `UPDATE rooms SET search_folded = ?, search_folded_at = updated_at WHERE id = ?`, room.SearchFolded(), room.ID)
			}
		}
		return true, err
	})
	if err != nil {
		return 0, fmt.Errorf("fill the search in: %w", err)
	}
	return len(rooms), nil
}

// HasRooms implements room.Store.
func (s *Store) HasRooms(ctx context.Context) (had bool, err error) {
	err = s.read(ctx, "look for rooms", func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM rooms)`).Scan(&had)
	})
	return had, err
}

// Lobby implements room.Store.
func (s *Store) Lobby(ctx context.Context, after chat.Seq, since time.Time, limit int) (lobby.Page, error) {
	page := lobby.Page{Events: []lobby.Event{}}
	var from int64
	if !since.IsZero() {
		from = since.UnixMilli()
	}
	err := s.read(ctx, "read the lobby", func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, `SELECT log, (SELECT coalesce(max(seq), 0) FROM rooms_lobby) FROM rooms_lobby_log`).Scan(&page.Log, &page.Head); err != nil {
			return err
		}
		return query(ctx, tx, func(rows *sql.Rows) error {
			event, err := scanEvent(rows)
			page.Events = append(page.Events, event)
			return err
		}, `SELECT seq, tenant, kind, at, room_id, room, coalesce(before, '') FROM rooms_lobby
			WHERE seq > ? AND seq >= coalesce((SELECT min(seq) FROM rooms_lobby WHERE at >= ?), ?) ORDER BY seq LIMIT ?`,
			after, from, chat.MaxSeq, limit)
	})
	return page, err
}

func scanEvent(rows *sql.Rows) (lobby.Event, error) {
	var e lobby.Event
	var at int64
	var room, before string
	if err := rows.Scan(&e.Seq, &e.Tenant, &e.Kind, &at, &e.RoomID, &room, &before); err != nil {
		return e, err
	}
	e.At = message.FromMillis(at)
	return e, message.ParseEventText(&e, room, before)
}

// RenewLogs implements room.Store.
func (s *Store) RenewLogs(ctx context.Context, fresh func() chat.LogID) (int, error) {
	var ids []chat.RoomID
	err := s.write(ctx, func(tx *sql.Tx) (bool, error) {
		err := query(ctx, tx, func(rows *sql.Rows) error {
			var id chat.RoomID
			err := rows.Scan(&id)
			ids = append(ids, id)
			return err
		}, `SELECT id FROM rooms`)
		for _, id := range ids {
			if err == nil {
				_, err = tx.ExecContext(ctx, `UPDATE rooms SET log = ? WHERE id = ?`, fresh(), id)
			}
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE rooms_lobby_log SET log = ?`, fresh())
		}
		return true, err
	})
	if err != nil {
		return 0, fmt.Errorf("renew the logs' names: %w", err)
	}
	return len(ids), nil
}
