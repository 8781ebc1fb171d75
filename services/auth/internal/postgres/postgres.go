// Package postgres keeps auth's accounts, sessions, keys and lobby in PostgreSQL. Any number of pods
// may share a database.
//
// Lock order: the lobby's row, an account's row, a session's row. Whatever may write to the lobby
// locks its row first, so such transactions come one after the other and their seqs have no holes.
package postgres

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/lobby"
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
type Store struct{ db guarded }

// Open brings the schema up to date. LobbyLog names the lobby's log if it has no name yet. The pool
// stays the caller's to close.
func Open(ctx context.Context, pool *pgxpool.Pool, lobbyLog chat.LogID) (*Store, error) {
	if err := database.MigratePostgres(ctx, pool, Schema()); err != nil {
		return nil, err
	}
	if _, err := database.Exec(ctx, pool, `INSERT INTO auth_lobby (tenant, log, head) VALUES ('*', $1, 0) ON CONFLICT DO NOTHING`, lobbyLog); err != nil {
		return nil, fmt.Errorf("name the lobby: %w", err)
	}
	return &Store{db: guarded{pool}}, nil
}

// lockLobby locks the lobby and returns its head.
func lockLobby(ctx context.Context, tx pgx.Tx) (chat.Seq, error) {
	var head chat.Seq
	if err := tx.QueryRow(ctx, `SELECT head FROM auth_lobby WHERE tenant = '*' FOR UPDATE`).Scan(&head); err != nil {
		return 0, fmt.Errorf("locking the lobby: %w", err)
	}
	return head, nil
}

// write appends e, the next event, to the lobby, which is locked.
func write(ctx context.Context, tx pgx.Tx, e lobby.Event) error {
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	if _, err := tx.Exec(ctx, `INSERT INTO auth_lobby_events (tenant, seq, at, event) VALUES ($1, $2, $3, $4)`, e.Tenant, e.Seq, e.At.UnixMilli(), string(text)); err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	if _, err := tx.Exec(ctx, `UPDATE auth_lobby SET head = $1 WHERE tenant = '*'`, e.Seq); err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	return nil
}

// isDuplicate says that a unique constraint was hit.
func isDuplicate(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "23505"
}
