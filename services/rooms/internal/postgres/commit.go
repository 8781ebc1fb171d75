package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/services/rooms/internal/access"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/sqlstore"
)

// Commit implements message.Store.
//
// READ COMMITTED gives each statement a snapshot of its own, taken when it starts; so what follows
// the lock in the first round trip sees all that was committed under the locks before ours.
//
// COMMIT rides in the last round trip. That is safe, since after an error the server passes over
// everything up to the end of the batch, COMMIT included: an error from the server means nothing
// was stored. Only if no answer comes is the outcome unknown.
func (s *Store) Commit(ctx context.Context, need message.Need, decide func(message.Have) (message.Changes, error)) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("a database connection: %w", err)
	}
	defer release(ctx, conn)

	load := &pgx.Batch{}
	load.Queue("BEGIN ISOLATION LEVEL READ COMMITTED")
	load.Queue(database.Durable)
	have := queueNeed(load, need)
	if err = conn.SendBatch(ctx, load).Close(); err != nil {
		return fmt.Errorf("lock and load: %w", err)
	}
	have.finish()
	changes, err := decide(have.Have)
	if err != nil || changes.Empty() {
		return err
	}
	write := &pgx.Batch{}
	if err = queueChanges(write, changes); err != nil {
		return err
	}
	write.Queue("COMMIT").Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" { // it says ROLLBACK if the transaction had failed
			return fmt.Errorf("%w: COMMIT answered %s", message.ErrRefused, tag)
		}
		return nil
	})
	return classify(conn.SendBatch(ctx, write).Close())
}

// classify tells what an error of the writing batch means.
func classify(err error) error {
	if err == nil || errors.Is(err, message.ErrRefused) || pgconn.SafeToRetry(err) {
		return err
	}
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pgErr.SeverityUnlocalized != "ERROR" { // FATAL ends the connection, at whatever moment
		return fmt.Errorf("%w: %w", message.ErrUnknown, err)
	}
	switch pgErr.Code[:2] {
	case "22", "23", "54": // data exception, integrity violation, program limit exceeded
		return fmt.Errorf("%w: %w", message.ErrRefused, err)
	}
	return fmt.Errorf("write: %w", err)
}

// release gives conn back, out of any transaction; where that fails, the pool closes it.
func release(ctx context.Context, conn *pgxpool.Conn) {
	defer conn.Release()
	if conn.Conn().IsClosed() || conn.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = conn.Exec(ctx, "ROLLBACK")
}

// loading is a Have that is being filled in.
type loading struct {
	message.Have

	heads map[chat.RoomID]chat.Seq
}

func queueNeed(batch *pgx.Batch, need message.Need) *loading {
	have := &loading{heads: make(map[chat.RoomID]chat.Seq)}
	if len(need.Rooms) > 0 {
		have.queueRooms(batch, need.Rooms)
	}
	if len(need.Nonces) > 0 {
		have.queueNonces(batch, need.Nonces)
	}
	if len(need.Messages) > 0 {
		have.queueMessages(batch, need.Messages)
	}
	if need.Lobby {
		have.queueMembers(batch, need.Rooms)
		batch.Queue(sqlstore.Feed.LockQuery(database.OnPostgres(nil).Dialect())).QueryRow(func(row pgx.Row) error { return row.Scan(&have.LobbyLog) })
		batch.Queue(sqlstore.Feed.HeadQuery()).QueryRow(func(row pgx.Row) error { return row.Scan(&have.LobbyHead) })
	}
	if len(need.Slugs) > 0 {
		have.queueSlugs(batch, need.Slugs)
	}
	if need.NewRooms > 0 {
		batch.Queue(`SELECT nextval('room_ids') FROM generate_series(1, $1::int)`, need.NewRooms).Query(func(rows pgx.Rows) (err error) {
			have.NewRooms, err = pgx.CollectRows(rows, pgx.RowTo[chat.RoomID])
			return err
		})
	}
	return have
}

func (h *loading) queueRooms(batch *pgx.Batch, ids []chat.RoomID) {
	h.Rooms = make(map[chat.RoomID]message.Room, len(ids))
	batch.Queue(`SELECT `+sqlstore.RoomColumns+` FROM rooms r WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE`, ids).Query(func(rows pgx.Rows) error {
		return each(rows, func() error {
			room, err := sqlstore.ScanRoom(rows)
			h.Rooms[room.ID] = room
			return err
		})
	})
	// A statement of its own: the one that waited for the lock has a snapshot from before it.
	batch.Queue(`SELECT r.id, (SELECT max(seq) FROM room_log WHERE room_id = r.id) FROM unnest($1::bigint[]) AS r(id)`, ids).Query(func(rows pgx.Rows) error {
		return each(rows, func() error {
			var id chat.RoomID
			var head *chat.Seq
			err := rows.Scan(&id, &head)
			if head != nil {
				h.heads[id] = *head
			}
			return err
		})
	})
}

// finish puts the heads into the rooms: which of the two queries comes first is thus of no matter.
func (h *loading) finish() {
	for id, room := range h.Rooms {
		room.Head = max(room.Floor-1, h.heads[id])
		h.Rooms[id] = room
	}
}

// queueNonces looks nonces up one by one inside the server. The LIMIT keeps the planner from ever
// turning that into a join over the whole table.
func (h *loading) queueNonces(batch *pgx.Batch, keys []message.NonceKey) {
	h.Nonces = make(map[message.NonceKey]message.UsedNonce)
	rooms, authors, nonces := make([]chat.RoomID, len(keys)), make([]string, len(keys)), make([][]byte, len(keys))
	for i := range keys {
		rooms[i], authors[i], nonces[i] = keys[i].Room, string(keys[i].Author), keys[i].Nonce[:]
	}
	batch.Queue(`SELECT k.room_id, k.author_id, k.nonce, n.seq, n.fingerprint
		FROM unnest($1::bigint[], $2::text[], $3::bytea[]) AS k(room_id, author_id, nonce),
		LATERAL (SELECT seq, fingerprint FROM room_nonces WHERE room_id = k.room_id AND author_id = k.author_id AND nonce = k.nonce LIMIT 1) n`,
		rooms, authors, nonces).Query(func(rows pgx.Rows) error {
		return each(rows, func() error {
			var key message.NonceKey
			var used message.UsedNonce
			var nonce, fingerprint []byte
			err := rows.Scan(&key.Room, &key.Author, &nonce, &used.Seq, &fingerprint)
			copy(key.Nonce[:], nonce)
			copy(used.Fingerprint[:], fingerprint)
			h.Nonces[key] = used
			return err
		})
	})
}

func (h *loading) queueMessages(batch *pgx.Batch, keys []message.Key) {
	h.Messages = make(map[message.Key]message.Entry)
	rooms, seqs := make([]chat.RoomID, len(keys)), make([]chat.Seq, len(keys))
	for i, key := range keys {
		rooms[i], seqs[i] = key.Room, key.Seq
	}
	batch.Queue(`SELECT `+logColumns+` FROM unnest($1::bigint[], $2::bigint[]) AS k(room_id, seq),
		LATERAL (SELECT * FROM room_log WHERE room_id = k.room_id AND seq = k.seq LIMIT 1) l`, rooms, seqs).Query(func(rows pgx.Rows) error {
		return each(rows, func() error {
			var scan logScan
			err := rows.Scan(scan.dest()...)
			row := scan.row()
			h.Messages[message.Key{Room: row.Room, Seq: row.Seq}] = row
			return err
		})
	})
}

func (h *loading) queueMembers(batch *pgx.Batch, ids []chat.RoomID) {
	h.Members = make(map[chat.RoomID][]chat.UserID)
	for _, id := range ids {
		batch.Queue(sqlstore.MembersQuery, id, access.MaxListed+1).Query(func(rows pgx.Rows) (err error) {
			h.Members[id], err = pgx.CollectRows(rows, pgx.RowTo[chat.UserID])
			return err
		})
	}
}

func (h *loading) queueSlugs(batch *pgx.Batch, keys []message.SlugKey) {
	h.Taken = make(map[message.SlugKey]bool)
	tenants, slugs := make([]string, len(keys)), make([]string, len(keys))
	for i, key := range keys {
		tenants[i], slugs[i] = string(key.Tenant), string(key.Slug)
	}
	batch.Queue(`SELECT tenant, slug FROM rooms WHERE (tenant, slug) IN (SELECT * FROM unnest($1::text[], $2::text[]))`, tenants, slugs).Query(func(rows pgx.Rows) error {
		return each(rows, func() error {
			var key message.SlugKey
			err := rows.Scan(&key.Tenant, &key.Slug)
			h.Taken[key] = true
			return err
		})
	})
}

// each calls scan for every row.
func each(rows pgx.Rows, scan func() error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(); err != nil {
			return err
		}
	}
	return rows.Err()
}
