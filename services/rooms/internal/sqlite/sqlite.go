// Package sqlite keeps the rooms' logs in a SQLite file, for one process, and writes rooms and the lobby with them. One
// transaction writes at a time, which is all the locking there is; readers see a snapshot meanwhile.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/sqlstore"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Schema is what the service needs of its database.
func Schema() database.Schema {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // only of a path that is none
	}
	return database.Schema{Table: "rooms_schema_versions", Migrations: files}
}

// Store implements message.Store and room.Finder.
type Store struct {
	db *sql.DB
	// writer is held by the one transaction that writes. SQLite's own waiting is a poll, and unfair.
	writer chan struct{}
}

// Open brings the schema up to date. LobbyLog names the lobby's log if it has no name yet. The
// database stays the caller's to close.
func Open(ctx context.Context, db *sql.DB, lobbyLog chat.LogID) (*Store, error) {
	if err := database.MigrateSQLite(ctx, db, Schema()); err != nil {
		return nil, err
	}
	if err := sqlstore.Feed.Open(ctx, database.OnSQLite(db), lobbyLog); err != nil {
		return nil, err
	}
	return &Store{db: db, writer: make(chan struct{}, 1)}, nil
}

// write runs do in the one transaction that writes, and commits unless do returns an error or says
// that there is nothing to commit.
func (s *Store) write(ctx context.Context, do func(*sql.Tx) (commit bool, err error)) error {
	select {
	case s.writer <- struct{}{}:
		defer func() { <-s.writer }()
	case <-ctx.Done():
		return fmt.Errorf("waiting to write: %w", ctx.Err())
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return message.Away("begin", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if commit, err := do(tx); err != nil || !commit {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%w: %w", message.ErrUnknown, err)
	}
	return nil
}

// read runs do in a transaction that sees one instant.
func (s *Store) read(ctx context.Context, what string, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return message.Away(what, err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := do(tx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// query calls scan for every row of a query.
func query(ctx context.Context, tx *sql.Tx, scan func(*sql.Rows) error, text string, args ...any) error {
	rows, err := tx.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

const roomColumns = sqlstore.RoomColumns + `, max(r.floor - 1, coalesce((SELECT max(seq) FROM room_log WHERE room_id = r.id), 0))`
