package postgres

import (
	"github.com/jackc/pgx/v5"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/sqlstore"
)

// queueChanges queues all that a transaction writes.
func queueChanges(batch *pgx.Batch, c message.Changes) error {
	for _, room := range c.Created {
		batch.Queue(`INSERT INTO rooms (id, tenant, slug, name, description, search, staff_only, allow_guests, owner, log, floor, created_at, updated_at, search_folded, search_folded_at, private, access_version)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $13, $15, $16)`,
			room.ID, room.Tenant, room.Slug, room.Name, room.Description, room.SearchText(), room.StaffOnly, room.AllowGuests,
			room.Owner, room.Log, room.Floor, room.CreatedAt.UnixMilli(), room.UpdatedAt.UnixMilli(), room.SearchFolded(),
			room.Private, room.AccessVersion)
	}
	for _, room := range c.Updated {
		batch.Queue(`UPDATE rooms SET name = $2, description = $3, search = $4, staff_only = $5, allow_guests = $6, updated_at = $7, deleted_at = $8,
			search_folded = $9, search_folded_at = $7, private = $10, access_version = $11 WHERE id = $1`,
			room.ID, room.Name, room.Description, room.SearchText(), room.StaffOnly, room.AllowGuests,
			room.UpdatedAt.UnixMilli(), message.Millis(room.DeletedAt), room.SearchFolded(), room.Private, room.AccessVersion)
	}
	events, err := sqlstore.Feed.Append(c.Lobby...)
	if err != nil {
		return err
	}
	acts, err := sqlstore.Audit.Insert(c.Audit...)
	if err != nil {
		return err
	}
	database.Queue(batch, append(events, acts...)...)
	for _, row := range c.Messages {
		batch.Queue(`UPDATE room_log SET body = $3, edited_at = $4, deleted_by = $5 WHERE room_id = $1 AND seq = $2`,
			row.Room, row.Seq, row.Body, message.Millis(row.EditedAt), row.DeletedBy)
	}
	if len(c.Nonces) > 0 {
		queueNonces(batch, c)
	}
	if len(c.Entries) > 0 {
		queueEntries(batch, c)
	}
	return nil
}

// queueEntries inserts all entries in one statement, however many there are.
func queueEntries(batch *pgx.Batch, c message.Changes) {
	n := len(c.Entries)
	newest := c.Newest()
	rooms, seqs, messages, replies := make([]chat.RoomID, n), make([]chat.Seq, n), make([]chat.Seq, n), make([]chat.Seq, n)
	tenants, kinds, bodies, nonces := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	authors, names, authorKinds := make([]string, n), make([]string, n), make([]string, n)
	ats, edits, deletes, last := make([]int64, n), make([]*int64, n), make([]chat.Seq, n), make([]bool, n)
	for i, row := range c.Entries {
		rooms[i], seqs[i], messages[i], replies[i] = row.Room, row.Seq, row.Message, row.ReplyTo
		tenants[i], kinds[i], bodies[i], nonces[i] = string(row.Tenant), row.Kind, row.Body, row.Nonce
		authors[i], names[i], authorKinds[i] = string(row.Author.ID), row.Author.Name, string(row.Author.Kind)
		ats[i], edits[i], deletes[i], last[i] = row.At.UnixMilli(), message.Millis(row.EditedAt), row.DeletedBy, newest[row.Room] == row.Seq
	}
	batch.Queue(`INSERT INTO room_log (room_id, seq, tenant, kind, message, author_id, author_name, author_kind, body, reply_to, nonce, at, edited_at, deleted_by, written)
		SELECT room_id, seq, tenant, kind, message, author_id, author_name, author_kind, body, reply_to, nonce, at, edited_at, deleted_by,
			CASE WHEN last THEN (extract(epoch FROM clock_timestamp()) * 1000)::bigint END
		FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[],
			$11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::boolean[])
			AS e(room_id, seq, tenant, kind, message, author_id, author_name, author_kind, body, reply_to, nonce, at, edited_at, deleted_by, last)`,
		rooms, seqs, tenants, kinds, messages, authors, names, authorKinds, bodies, replies, nonces, ats, edits, deletes, last)
}

func queueNonces(batch *pgx.Batch, c message.Changes) {
	n := len(c.Nonces)
	rooms, seqs := make([]chat.RoomID, 0, n), make([]chat.Seq, 0, n)
	authors, tenants := make([]string, 0, n), make([]string, 0, n)
	nonces, fingerprints := make([][]byte, 0, n), make([][]byte, 0, n)
	for key, used := range c.Nonces {
		rooms, seqs = append(rooms, key.Room), append(seqs, used.Seq)
		authors, tenants = append(authors, string(key.Author)), append(tenants, string(used.Tenant))
		nonces, fingerprints = append(nonces, key.Nonce[:]), append(fingerprints, used.Fingerprint[:])
	}
	batch.Queue(`INSERT INTO room_nonces (room_id, author_id, nonce, tenant, seq, fingerprint)
		SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::text[], $5::bigint[], $6::bytea[])`,
		rooms, authors, nonces, tenants, seqs, fingerprints)
}
