package postgres

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/rooms/internal/directory"
	"github.com/parley-chat/parley/services/rooms/internal/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Backend {
		t.Helper()
		where := freshDatabase(t)
		return storetest.Backend{
			Open: func(t *testing.T) storetest.Store { t.Helper(); return open(t, where) },
			Exec: func(t *testing.T, statement string) { t.Helper(); execute(t, where, statement) },
			Poison: func(t *testing.T, body string) {
				t.Helper()
				execute(t, where, `CREATE FUNCTION poisoned() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE data_exception; END $$`)
				execute(t, where, `CREATE TRIGGER poison BEFORE INSERT ON room_log FOR EACH ROW WHEN (NEW.body = '`+body+`') EXECUTE FUNCTION poisoned()`)
			},
		}
	})
}

// freshDatabase makes a database of its own on the test server, and returns its URL.
func freshDatabase(t testing.TB) string {
	t.Helper()
	server := os.Getenv("PARLEY_TEST_POSTGRES")
	if server == "" {
		t.Fatal("PARLEY_TEST_POSTGRES names no PostgreSQL to test with; make test starts one")
	}
	name := "rooms_" + strings.ToLower(webapi.NewID())
	execute(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func execute(t testing.TB, where, text string) {
	t.Helper()
	ctx := t.Context()
	if ctx.Err() != nil { // in a cleanup
		ctx = context.WithoutCancel(ctx)
	}
	conn, err := pgx.Connect(ctx, where)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, text); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, where string) *Store {
	t.Helper()
	s, err := Open(t.Context(), openPool(t, where), directory.NewLog())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openPool(t testing.TB, where string) *pgxpool.Pool {
	t.Helper()
	pool, err := database.OpenPostgres(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}
