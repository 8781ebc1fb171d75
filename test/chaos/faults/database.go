package faults

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/chaos/history"
	"github.com/parley-chat/parley/test/localcluster"
)

// query reads the rooms' database, past the services.
func (d *driver) query(ctx context.Context, sql string, dest []any, row func() error) error {
	conn, err := pgx.Connect(ctx, d.cluster.Postgres.URL(localcluster.RoomsDatabase))
	if err != nil {
		return fmt.Errorf("look into the database: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	slugs := make([]string, len(d.rooms))
	for i, room := range d.rooms {
		slugs[i] = string(room)
	}
	rows, err := conn.Query(ctx, sql, slugs)
	if err != nil {
		return fmt.Errorf("look into the database: %w", err)
	}
	if _, err := pgx.ForEachRow(rows, dest, row); err != nil {
		return fmt.Errorf("look into the database: %w", err)
	}
	return nil
}

// heads are the ends of the logs.
func (d *driver) heads(ctx context.Context) (map[chat.Slug]client.Cursor, error) {
	heads := map[chat.Slug]client.Cursor{}
	var slug chat.Slug
	var cursor client.Cursor
	err := d.query(ctx, `SELECT slug, log, coalesce((SELECT max(seq) FROM room_log WHERE room_id = id), 0) FROM rooms WHERE slug = ANY($1)`,
		[]any{&slug, &cursor.Log, &cursor.Seq}, func() error {
			heads[slug] = cursor
			return nil
		})
	return heads, err
}

// logs are the rooms' logs as the database has them.
func (d *driver) logs(ctx context.Context) (map[chat.Slug]*history.Log, error) {
	heads, err := d.heads(ctx)
	if err != nil {
		return nil, err
	}
	logs := map[chat.Slug]*history.Log{}
	for room, head := range heads {
		logs[room] = &history.Log{Room: room, Name: head.Log}
	}
	var (
		slug chat.Slug
		r    history.Row
	)
	err = d.query(ctx, `SELECT slug, seq, kind, message, author_id, nonce, body, deleted_by <> 0 FROM room_log JOIN rooms ON rooms.id = room_id WHERE slug = ANY($1) ORDER BY slug, seq`,
		[]any{&slug, &r.Seq, &r.Kind, &r.Message, &r.Author, &r.Nonce, &r.Body, &r.Deleted}, func() error {
			logs[slug].Rows = append(logs[slug].Rows, r)
			return nil
		})
	return logs, err
}
