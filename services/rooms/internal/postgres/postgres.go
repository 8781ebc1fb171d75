// Package postgres keeps the rooms' logs in PostgreSQL, and writes rooms and the lobby with them. Any number of pods may share
// a database. A commit takes two round trips: one that locks and loads, one that writes and commits.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

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
type Store struct{ pool *pgxpool.Pool }

// Open brings the schema up to date. LobbyLog names the lobby's log if it has no name yet. The pool
// stays the caller's to close.
func Open(ctx context.Context, pool *pgxpool.Pool, lobbyLog chat.LogID) (*Store, error) {
	if err := database.MigratePostgres(ctx, pool, Schema()); err != nil {
		return nil, err
	}
	if err := sqlstore.Feed.Open(ctx, (&database.Database{Postgres: pool}).DB(message.DatabaseAway), lobbyLog); err != nil {
		return nil, err
	}
	return &Store{pool: pool}, nil
}

// snapshot runs the queries of batch in one read-only transaction of one instant, in one round trip.
func (s *Store) snapshot(ctx context.Context, queue func(*pgx.Batch)) error {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	queue(batch)
	batch.Queue("COMMIT")
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer release(ctx, conn)
	return conn.SendBatch(ctx, batch).Close()
}

// headOf is the head of the log of r. A log that retention emptied ends below its floor.
const headOf = `greatest(r.floor - 1, coalesce((SELECT max(seq) FROM room_log WHERE room_id = r.id), 0))`

// failed wraps the error of a query. Where it is not the server's judgement of the query itself, the
// database is away.
func failed(what string, err error) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.SeverityUnlocalized == "ERROR" {
		return fmt.Errorf("%s: %w", what, err)
	}
	return message.Away(what, err)
}
