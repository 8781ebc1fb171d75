// Package database opens PostgreSQL and SQLite the way Parley needs them, and brings their schemas
// up to date.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
	_ "modernc.org/sqlite" // registers the driver that OpenSQLite names
)

// OpenSQLite opens or makes the database file at path. Every commit is on disk before it returns;
// a transaction takes the only write lock when it begins, so that it never fails halfway for it. Only our
// own user may read the file: accounts and signing keys are in it.
func OpenSQLite(ctx context.Context, path string) (*sql.DB, error) {
	if err := restrictPermissions(path); err != nil {
		return nil, fmt.Errorf("open SQLite file: %w", err)
	}
	query := url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "busy_timeout(10000)"},
	}
	db, err := sql.Open("sqlite", "file:"+strings.ReplaceAll(url.PathEscape(path), "%2F", "/")+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	db.SetMaxOpenConns(8)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("open SQLite file %s: %w", path, err)
	}
	return db, nil
}

// restrictPermissions makes the file where it is missing, and takes from others what they may do with it and with what lies
// beside it. SQLite gives the files that it makes beside a database the database's mode.
func restrictPermissions(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	if err = file.Close(); err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix) //nolint:gosec // the operator names the file
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = os.Chmod(path+suffix, info.Mode().Perm()&^0o077) //nolint:gosec // likewise
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Migrate brings the schema up to date, whose migrations are in the SQL of the database.
func (d *Database) Migrate(ctx context.Context, schema Schema) error {
	if d.SQLite != nil {
		return MigrateSQLite(ctx, d.SQLite, schema)
	}
	return MigratePostgres(ctx, d.Postgres, schema)
}

// MigratePostgres brings the schema up to date. Pods that start together take turns by an advisory lock.
func MigratePostgres(ctx context.Context, pool *pgxpool.Pool, schema Schema) error {
	if err := checkMayMigrate(ctx, pool, schema); err != nil {
		return err
	}
	db := stdlib.OpenDBFromPool(pool)
	defer func() { _ = db.Close() }()                                          // the pool stays open
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300)) // seconds between tries, and how many
	if err != nil {
		return fmt.Errorf("migration lock: %w", err)
	}
	return migrate(ctx, db, database.DialectPostgres, schema, goose.WithSessionLocker(locker))
}

// checkMayMigrate sees to it that the role may make tables, where there are none yet: goose tries for long.
func checkMayMigrate(ctx context.Context, pool *pgxpool.Pool, schema Schema) error {
	var role, name, place string
	var there, may bool
	err := pool.QueryRow(ctx, `SELECT current_user, current_database(), coalesce(current_schema(), 'public'), to_regclass($1) IS NOT NULL,
		current_schema() IS NOT NULL AND has_schema_privilege(current_schema(), 'CREATE')`, pgx.Identifier{schema.Table}.Sanitize()).Scan(&role, &name, &place, &there, &may)
	if err != nil {
		return fmt.Errorf("ask what the database's role may do: %w", err)
	}
	if there || may {
		return nil
	}
	return fmt.Errorf("the role %q may not make tables in database %q: as an administrator run there: GRANT USAGE, CREATE ON SCHEMA %s TO %s",
		role, name, pgx.Identifier{place}.Sanitize(), pgx.Identifier{role}.Sanitize())
}

// MigrateSQLite brings the schema up to date.
func MigrateSQLite(ctx context.Context, db *sql.DB, schema Schema) error {
	return migrate(ctx, db, database.DialectSQLite3, schema)
}

func migrate(ctx context.Context, db *sql.DB, dialect database.Dialect, schema Schema, options ...goose.ProviderOption) error {
	store, err := database.NewStore(dialect, schema.Table)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	options = append(options, goose.WithStore(store), goose.WithDisableGlobalRegistry(true))
	provider, err := goose.NewProvider("", db, schema.Migrations, options...)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", schema.Table, err)
	}
	return nil
}
