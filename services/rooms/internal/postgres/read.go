package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/rooms/internal/access"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/sqlstore"
)

const logColumns = `l.room_id, l.seq, l.tenant, l.kind, l.message, l.author_id, l.author_name, l.author_kind, l.body, l.reply_to, l.nonce, l.at, coalesce(l.edited_at, 0), l.deleted_by`

// logScan takes the columns of one row in.
type logScan struct {
	message.Entry

	at, edited int64
}

func (s *logScan) dest() []any {
	return []any{
		&s.Room, &s.Seq, &s.Tenant, &s.Kind, &s.Message, &s.Author.ID, &s.Author.Name, &s.Author.Kind, &s.Body, &s.ReplyTo, &s.Nonce,
		&s.at, &s.edited, &s.DeletedBy,
	}
}

func (s *logScan) row() message.Entry {
	s.At, s.EditedAt = message.FromMillis(s.at), message.FromMillis(s.edited)
	return s.Entry
}

// readSpan reads entries in one direction, each with the row of its message. The subject of an edit
// or delete is looked up row by row (LIMIT keeps the planner to it), and the bodies are summed up as they
// come: an entry is read as long as those before it stay under the bytes.
func readSpan(span message.Span) string {
	order, only := "ASC", ""
	if span.Newest {
		order = "DESC"
	}
	if span.Messages {
		only = "AND kind = 'message'"
	}
	return fmt.Sprintf(`SELECT l.room_id, l.seq, l.tenant, l.kind, l.message, l.author_id, l.author_name, l.author_kind, l.body, l.reply_to, l.nonce, l.at, l.edited, l.deleted_by,
			coalesce(l.m_author_id, ''), coalesce(l.m_author_name, ''), coalesce(l.m_author_kind, ''), coalesce(l.m_body, ''), coalesce(l.m_reply_to, 0),
			coalesce(l.m_nonce, ''), coalesce(l.m_at, 0), coalesce(l.m_edited_at, 0), coalesce(l.m_deleted_by, 0)
		FROM (
			SELECT l.*, coalesce(l.edited_at, 0) AS edited, m.author_id AS m_author_id, m.author_name AS m_author_name, m.author_kind AS m_author_kind, m.body AS m_body,
				m.reply_to AS m_reply_to, m.nonce AS m_nonce, m.at AS m_at, m.edited_at AS m_edited_at, m.deleted_by AS m_deleted_by,
				sum(octet_length(l.body) + coalesce(octet_length(m.body), 0)) OVER (ORDER BY l.seq %[1]s) - octet_length(l.body) - coalesce(octet_length(m.body), 0) AS bytes_before
			FROM (SELECT * FROM room_log WHERE room_id = $1 AND seq > $2 AND seq < $3 %[2]s ORDER BY seq %[1]s LIMIT $4) l
			LEFT JOIN LATERAL (
				SELECT * FROM room_log s WHERE l.message NOT IN (0, l.seq) AND s.room_id = l.room_id AND s.seq = l.message LIMIT 1
			) m ON true
		) l WHERE bytes_before < $5 ORDER BY seq %[1]s`, order, only)
}

// Read implements message.Store.
func (s *Store) Read(ctx context.Context, id chat.RoomID, span message.Span) (message.Room, []message.ReadEntry, error) {
	before := span.Before
	if before == 0 {
		before = chat.MaxSeq + 1
	}
	var room message.Room
	var items []message.ReadEntry
	err := s.snapshot(ctx, func(batch *pgx.Batch) {
		batch.Queue(`SELECT `+sqlstore.RoomColumns+`, `+headOf+` FROM rooms r WHERE id = $1 AND deleted_at IS NULL`, id).QueryRow(func(row pgx.Row) (err error) {
			room, err = sqlstore.ScanRoomHead(row)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			return err
		})
		batch.Queue(readSpan(span), id, span.After, before, span.Limit, span.Bytes).Query(func(rows pgx.Rows) error {
			return each(rows, func() error {
				item, err := scanItem(rows)
				items = append(items, item)
				return err
			})
		})
	})
	switch {
	case err != nil:
		return message.Room{}, nil, failed("read a log", err)
	case room.ID == 0:
		return message.Room{}, nil, access.NoRoom()
	}
	return room, items, nil
}

func scanItem(rows pgx.Rows) (message.ReadEntry, error) {
	var entry, subject logScan
	err := rows.Scan(append(entry.dest(), &subject.Author.ID, &subject.Author.Name, &subject.Author.Kind, &subject.Body, &subject.ReplyTo, &subject.Nonce,
		&subject.at, &subject.edited, &subject.DeletedBy)...)
	item := message.ReadEntry{Entry: entry.row()}
	if item.AboutAnother() {
		row := subject.row()
		row.Room, row.Seq, row.Tenant, row.Kind, row.Message = item.Room, item.Message, item.Tenant, operation.EntryMessage, item.Message
		item.Subject = &row
	}
	return item, err
}

// Recent implements message.Store: a range of the small index on written.
func (s *Store) Recent(ctx context.Context, within time.Duration) (heads []roomsapi.Head, err error) {
	err = s.snapshot(ctx, func(batch *pgx.Batch) {
		batch.Queue(`SELECT room_id, max(seq), greatest(0, (extract(epoch FROM now()) * 1000)::bigint - max(written))
			FROM room_log WHERE written >= (extract(epoch FROM now()) * 1000)::bigint - $1::bigint GROUP BY room_id`,
			within.Milliseconds()).Query(func(rows pgx.Rows) (err error) {
			heads, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (h roomsapi.Head, err error) {
				err = row.Scan(&h.Room, &h.Head, &h.AgeMS)
				return h, err
			})
			return err
		})
	})
	if err != nil {
		return nil, failed("read recent heads", err)
	}
	return heads, nil
}
