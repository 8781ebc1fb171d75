// Package databasetest puts before a store what its database may do to it: sessions whose commits do not wait for
// the disk, and a connection pooler.
package databasetest

import (
	"context"
	"net/url"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Server is the URL of the PostgreSQL that tests use. A missing server is a failure.
func Server(tb testing.TB) *url.URL {
	tb.Helper()
	u, err := url.Parse(os.Getenv("PARLEY_TEST_POSTGRES"))
	if err != nil || u.Host == "" {
		tb.Fatal("PARLEY_TEST_POSTGRES names no PostgreSQL to test with; make test starts one", err)
	}
	return u
}

// Run runs a statement on the database of where.
func Run(tb testing.TB, where, statement string) {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context()) // also in a cleanup
	conn, err := pgx.Connect(ctx, where)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		tb.Fatal(err)
	}
}

// WithAsyncCommits is a pool like another one, of sessions whose commits have ceased to wait for the disk since they were
// prepared: an operator has changed the default, or a pooler has exchanged them.
func WithAsyncCommits(tb testing.TB, like *pgxpool.Pool) *pgxpool.Pool {
	tb.Helper()
	config := like.Config()
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET synchronous_commit = off")
		return err
	}
	pool, err := pgxpool.NewWithConfig(tb.Context(), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	return pool
}

// RefuseAsyncCommits has all tables of where refuse to be written to in a transaction whose commit would not wait
// for the disk.
func RefuseAsyncCommits(tb testing.TB, where string) {
	tb.Helper()
	Run(tb, where, `CREATE OR REPLACE FUNCTION careless() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF current_setting('synchronous_commit') = 'off' THEN RAISE 'this commit of % would not wait for the disk', TG_TABLE_NAME; END IF;
			RETURN NULL;
		END $$`)
	Run(tb, where, `DO $$
		DECLARE name text;
		BEGIN
			FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename NOT LIKE '%_versions' LOOP
				EXECUTE format('CREATE OR REPLACE TRIGGER careless AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH STATEMENT EXECUTE FUNCTION careless()', name);
			END LOOP;
		END $$`)
}
