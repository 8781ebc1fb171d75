// Package sqlite keeps auth's accounts, sessions, keys and lobby in a SQLite file. A transaction has
// the file's only write lock from its beginning (database.OpenSQLite), so transactions come one
// after the other, and nothing else is locked.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/auth/internal/record"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Schema is what the service needs of its database.
func Schema() database.Schema {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // only of a path that is none
	}
	return database.Schema{Table: "auth_schema_versions", Migrations: files}
}

// Store implements the interfaces of account, session, keys and the service's own.
type Store struct{ db *sql.DB }

// Open brings the schema up to date. LobbyLog names the lobby's log if it has no name yet. The
// database stays the caller's to close.
func Open(ctx context.Context, db *sql.DB, lobbyLog chat.LogID) (*Store, error) {
	if err := database.MigrateSQLite(ctx, db, Schema()); err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, `INSERT INTO auth_lobby (tenant, log, head) VALUES ('*', ?1, 0) ON CONFLICT DO NOTHING`, lobbyLog); err != nil {
		return nil, fmt.Errorf("name the lobby: %w", err)
	}
	return &Store{db: db}, nil
}

// inTx runs f in a transaction, which holds the write lock.
func (s *Store) inTx(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing a transaction: %w", err)
	}
	return nil
}

// collect reads all rows and closes them.
func collect[T any](rows *sql.Rows, read func(record.Row) (T, error)) ([]T, error) {
	defer rows.Close() //nolint:errcheck // Err tells
	list := []T{}
	for rows.Next() {
		item, err := read(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading rows: %w", err)
	}
	return list, nil
}

// head returns the lobby's head.
func head(ctx context.Context, tx *sql.Tx) (at chat.Seq, err error) {
	if err := tx.QueryRowContext(ctx, `SELECT head FROM auth_lobby WHERE tenant = '*'`).Scan(&at); err != nil {
		return 0, fmt.Errorf("reading the lobby's head: %w", err)
	}
	return at, nil
}

// write appends e, the next event, to the lobby.
func write(ctx context.Context, tx *sql.Tx, e lobby.Event) error {
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO auth_lobby_events (tenant, seq, at, event) VALUES (?1, ?2, ?3, ?4)`, e.Tenant, e.Seq, e.At.UnixMilli(), string(text)); err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE auth_lobby SET head = ?1 WHERE tenant = '*'`, e.Seq); err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	return nil
}

// isDuplicate says that a unique constraint was hit.
func isDuplicate(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}
