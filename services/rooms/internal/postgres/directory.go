package postgres

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/room"
)

// Rooms implements room.Store: two statements, each with a snapshot of its own, the lobby first.
func (s *Store) Rooms(ctx context.Context, keys []message.SlugKey) (map[message.SlugKey]message.Room, chat.Seq, error) {
	tenants, slugs := make([]string, len(keys)), make([]string, len(keys))
	for i, key := range keys {
		tenants[i], slugs[i] = string(key.Tenant), string(key.Slug)
	}
	found := make(map[message.SlugKey]message.Room, len(keys))
	var seq chat.Seq
	batch := &pgx.Batch{}
	batch.Queue(`SELECT coalesce(max(seq), 0) FROM rooms_lobby`).QueryRow(func(row pgx.Row) error { return row.Scan(&seq) })
	batch.Queue(`SELECT `+roomColumns+`, `+headOf+` FROM rooms r WHERE deleted_at IS NULL AND (tenant, slug) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
		tenants, slugs).Query(func(rows pgx.Rows) error {
		return each(rows, func() error {
			room, err := scanRoomHead(rows)
			found[message.SlugKey{Tenant: room.Tenant, Slug: room.Slug}] = room
			return err
		})
	})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return nil, 0, failed("look rooms up", err)
	}
	return found, seq, nil
}

func scanRoomHead(row pgx.Row) (message.Room, error) {
	var head chat.Seq
	room, err := scanRoom(row, &head)
	room.Head = head
	return room, err
}

// Page implements room.Store.
func (s *Store) Page(ctx context.Context, listing room.Listing) ([]message.Room, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+roomColumns+`, `+headOf+` FROM rooms r
		WHERE tenant = $1 AND slug > $2 AND deleted_at IS NULL
			AND CASE WHEN search_folded_at = updated_at THEN search_folded LIKE $3 ELSE search LIKE $4 END
			AND ($5 = 2 OR NOT staff_only AND ($5 = 1 OR allow_guests))
		ORDER BY slug LIMIT $6`, listing.Tenant, listing.After, containing(listing.Search), containing(listing.Lower), int(listing.Audience), listing.Limit)
	if err != nil {
		return nil, failed("list rooms", err)
	}
	rooms, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (message.Room, error) { return scanRoomHead(row) })
	if err != nil {
		return nil, failed("list rooms", err)
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
	err := database.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+roomColumns+` FROM rooms r WHERE deleted_at IS NULL AND search_folded_at IS DISTINCT FROM updated_at
			ORDER BY id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED`, fillAtOnce)
		if err != nil {
			return err
		}
		rooms, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (message.Room, error) { return scanRoom(row) })
		if err != nil {
			return err
		}
		ids, folded := make([]chat.RoomID, len(rooms)), make([]string, len(rooms))
		for i, room := range rooms {
			ids[i], folded[i] = room.ID, room.SearchFolded()
		}
		_, err = tx.Exec(ctx, `UPDATE rooms SET search_folded = n.folded, search_folded_at = updated_at
			FROM unnest($1::bigint[], $2::text[]) AS n(id, folded) WHERE rooms.id = n.id`, ids, folded)
		filled = len(rooms)
		return err
	})
	if err != nil {
		return 0, failed("fill the search in", err)
	}
	return filled, nil
}

// HasRooms implements room.Store.
func (s *Store) HasRooms(ctx context.Context) (had bool, err error) {
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM rooms)`).Scan(&had); err != nil {
		return false, failed("look for rooms", err)
	}
	return had, nil
}

// Lobby implements room.Store.
func (s *Store) Lobby(ctx context.Context, after chat.Seq, since time.Time, limit int) (lobby.Page, error) {
	page := lobby.Page{Events: []lobby.Event{}}
	err := s.snapshot(ctx, func(batch *pgx.Batch) {
		batch.Queue(`SELECT log, (SELECT coalesce(max(seq), 0) FROM rooms_lobby) FROM rooms_lobby_log`).QueryRow(func(row pgx.Row) error {
			return row.Scan(&page.Log, &page.Head)
		})
		var from int64
		if !since.IsZero() {
			from = since.UnixMilli()
		}
		batch.Queue(`SELECT seq, tenant, kind, at, room_id, room, coalesce(before, '') FROM rooms_lobby
			WHERE seq > $1 AND seq >= coalesce((SELECT min(seq) FROM rooms_lobby WHERE at >= $2), $3) ORDER BY seq LIMIT $4`,
			after, from, chat.MaxSeq, limit).Query(func(rows pgx.Rows) error {
			return each(rows, func() error {
				event, err := scanEvent(rows)
				page.Events = append(page.Events, event)
				return err
			})
		})
	})
	if err != nil {
		return lobby.Page{}, failed("read the lobby", err)
	}
	return page, nil
}

func scanEvent(row pgx.Row) (lobby.Event, error) {
	var e lobby.Event
	var at int64
	var room, before string
	if err := row.Scan(&e.Seq, &e.Tenant, &e.Kind, &at, &e.RoomID, &room, &before); err != nil {
		return e, err
	}
	e.At = message.FromMillis(at)
	return e, message.ParseEventText(&e, room, before)
}

// RenewLogs implements room.Store.
func (s *Store) RenewLogs(ctx context.Context, fresh func() chat.LogID) (int, error) {
	var ids []chat.RoomID
	err := database.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id FROM rooms ORDER BY id FOR NO KEY UPDATE`)
		if err != nil {
			return err
		}
		if ids, err = pgx.CollectRows(rows, pgx.RowTo[chat.RoomID]); err != nil {
			return err
		}
		logs := make([]string, len(ids))
		for i := range logs {
			logs[i] = string(fresh())
		}
		if _, err = tx.Exec(ctx, `UPDATE rooms SET log = n.log FROM unnest($1::bigint[], $2::text[]) AS n(id, log) WHERE rooms.id = n.id`, ids, logs); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE rooms_lobby_log SET log = $1`, fresh())
		return err
	})
	if err != nil {
		return 0, failed("renew the logs' names", err)
	}
	return len(ids), nil
}
