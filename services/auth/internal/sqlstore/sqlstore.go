// Package sqlstore keeps auth's accounts, sessions, keys and lobby in PostgreSQL or SQLite. Any number of pods may share
// a PostgreSQL; a SQLite file is one process's.
//
// Lock order on PostgreSQL: the lobby's row, an account's row, a session's row. Whatever may write to the lobby
// locks its row first, so such transactions come one after the other. On SQLite a transaction has the only write lock
// from its beginning.
package sqlstore

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/parley-chat/parley/pkg/audit/audittable"
	"github.com/parley-chat/parley/pkg/changefeed"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
)

//go:embed migrations
var migrations embed.FS

// Schema is what the service needs of its database, in the SQL of that database.
func Schema(db *database.Database) database.Schema {
	folder := "migrations/sqlite"
	if db.Postgres != nil {
		folder = "migrations/postgres"
	}
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		panic(err) // only of a path that is none
	}
	return database.Schema{Table: "auth_schema_versions", Migrations: files}
}

// Store implements the interfaces of account, session, keys and the service's own.
type Store struct {
	db    database.DB
	feed  changefeed.Feed
	audit audittable.Table
}

// Open brings the schema up to date. LobbyLog names the lobby's log if it has no name yet. The
// database stays the caller's to close.
func Open(ctx context.Context, db *database.Database, lobbyLog chat.LogID) (*Store, error) {
	if err := db.Migrate(ctx, Schema(db)); err != nil {
		return nil, err
	}
	s := newStore(db)
	if err := s.feed.Open(ctx, s.db, lobbyLog); err != nil {
		return nil, err
	}
	return s, nil
}

func newStore(db *database.Database) *Store {
	return &Store{
		db:    db.DB("accounts can't be reached just now"),
		feed:  changefeed.Feed{Log: "auth_lobby", HeadInLog: true, Events: "auth_lobby_events", Format: changefeed.JSON("event")},
		audit: "auth_audit",
	}
}

// batch runs statements together; what says what they do.
func batch(ctx context.Context, q database.Querier, what string, statements ...database.Statement) error {
	if err := q.Batch(ctx, statements...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// statement is a statement with its values.
func statement(text string, args ...any) database.Statement {
	return database.Statement{Text: text, Args: args}
}
