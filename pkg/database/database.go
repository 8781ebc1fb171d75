// Package database opens PostgreSQL and SQLite the way Parley needs them, and brings their schemas
// up to date.
package database

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
	_ "modernc.org/sqlite" // registers the driver that OpenSQLite names

	"github.com/parley-chat/parley/pkg/trace"
)

// OpenPostgres connects to the database of rawURL, waiting up to a minute for it to come up: services
// start in any order.
func OpenPostgres(ctx context.Context, rawURL string) (*pgxpool.Pool, error) {
	return open(ctx, rawURL, nil)
}

func open(ctx context.Context, rawURL string, tracer *trace.Tracer) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(rawURL)
	if err != nil {
		return nil, fmt.Errorf("the database URL is malformed") //nolint:err113,perfsprint // pgx's own message may repeat the password
	}
	config.AfterConnect = prepare
	if tracer != nil {
		config.ConnConfig.Tracer = &statements{tracer}
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL: %w", err)
	}
	if err := waitFor(ctx, time.Minute, pool.Ping); err != nil {
		pool.Close()
		return nil, fmt.Errorf("reach PostgreSQL at %s:%d: %w", config.ConnConfig.Host, config.ConnConfig.Port, err)
	}
	return pool, nil
}

// prepare sees to it that a commit is on disk before it returns, also where the server's default or the
// role's says otherwise: what is acked is kept. Stricter settings stay. A process that freezes in a
// transaction, or whose node is lost, must not keep what it has locked.
//
// All our statements find their rows by an index, whatever the values. So one plan does for all, made as if
// tables were large, and is not made anew each time, which took PostgreSQL as long as the rest of a
// message. A plan made while a table was small would otherwise read all of it ever after.
func prepare(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config('idle_in_transaction_session_timeout', '5s', false),
		set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false),
		CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END`)
	if err != nil {
		return fmt.Errorf("set a connection up: %w", err)
	}
	return nil
}

// OpenSQLite opens or makes the database file at path. Every commit is on disk before it returns;
// a transaction takes the only write lock when it begins, so that it never fails halfway for it.
func OpenSQLite(ctx context.Context, path string) (*sql.DB, error) {
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

// MigratePostgres brings the schema up to date. Pods that start together take turns by an advisory lock.
func MigratePostgres(ctx context.Context, pool *pgxpool.Pool, schema Schema) error {
	db := stdlib.OpenDBFromPool(pool)
	defer func() { _ = db.Close() }() // the pool stays open
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return fmt.Errorf("migration lock: %w", err)
	}
	return migrate(ctx, db, database.DialectPostgres, schema, goose.WithSessionLocker(locker))
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

// waitFor tries until try succeeds, for at most limit.
func waitFor(ctx context.Context, limit time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		attempt, stop := context.WithTimeout(ctx, 5*time.Second)
		err := try(attempt)
		stop()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return err
		}
	}
}
