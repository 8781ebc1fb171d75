package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/rooms/internal/access"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/sqlstore"
)

// clock is now in milliseconds, as everywhere in the schema.
const clock = `CAST(unixepoch('subsec') * 1000 AS INTEGER)`

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

// readSpan reads entries in one direction, each with the row of its message.
func readSpan(span message.Span) string {
	order, only := "ASC", ""
	if span.Newest {
		order = "DESC"
	}
	if span.Messages {
		only = "AND l.kind = 'message'"
	}
	return fmt.Sprintf(`SELECT %[1]s,
			coalesce(m.author_id, ''), coalesce(m.author_name, ''), coalesce(m.author_kind, ''), coalesce(m.body, ''), coalesce(m.reply_to, 0),
			coalesce(m.nonce, ''), coalesce(m.at, 0), coalesce(m.edited_at, 0), coalesce(m.deleted_by, 0)
		FROM room_log l LEFT JOIN room_log m ON l.message NOT IN (0, l.seq) AND m.room_id = l.room_id AND m.seq = l.message
		WHERE l.room_id = ? AND l.seq > ? AND l.seq < ? %[2]s ORDER BY l.seq %[3]s LIMIT ?`, logColumns, only, order)
}

// errEnough ends a scan that has what it needs.
var errEnough = errors.New("enough")

// Read implements message.Store.
func (s *Store) Read(ctx context.Context, id chat.RoomID, span message.Span) (room message.Room, items []message.ReadEntry, err error) {
	before := span.Before
	if before == 0 {
		before = chat.MaxSeq + 1
	}
	err = s.read(ctx, "read a log", func(tx *sql.Tx) error {
		var failed error
		room, failed = sqlstore.ScanRoomHead(tx.QueryRowContext(ctx, `SELECT `+roomColumns+` FROM rooms r WHERE id = ? AND deleted_at IS NULL`, id))
		if errors.Is(failed, sql.ErrNoRows) {
			return access.NoRoom()
		}
		if failed != nil {
			return failed
		}
		bytes := 0
		failed = query(ctx, tx, func(rows *sql.Rows) error {
			item, bad := scanItem(rows)
			if bad != nil {
				return bad
			}
			items = append(items, item)
			bytes += len(item.Body)
			if item.Subject != nil {
				bytes += len(item.Subject.Body)
			}
			if bytes >= span.Bytes {
				return errEnough // rows come as they are asked for, so that no more are read
			}
			return nil
		}, readSpan(span), id, span.After, before, span.Limit)
		if errors.Is(failed, errEnough) {
			return nil
		}
		return failed
	})
	return room, items, err
}

func scanItem(rows *sql.Rows) (message.ReadEntry, error) {
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
	err = s.read(ctx, "read recent heads", func(tx *sql.Tx) error {
		return query(ctx, tx, func(rows *sql.Rows) error {
			var h roomsapi.Head
			failed := rows.Scan(&h.Room, &h.Head, &h.AgeMS)
			heads = append(heads, h)
			return failed
		}, `SELECT room_id, max(seq), max(0, `+clock+` - max(written)) FROM room_log WHERE written >= `+clock+` - ? GROUP BY room_id`, within.Milliseconds())
	})
	return heads, err
}
