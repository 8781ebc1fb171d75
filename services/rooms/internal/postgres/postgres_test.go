package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/databasetest"
	"github.com/parley-chat/parley/services/rooms/internal/directory"
	"github.com/parley-chat/parley/services/rooms/internal/storetest"
)

// Every write is on disk when it is acked, whatever the sessions say.
func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Backend {
		t.Helper()
		where := storetest.Postgres(t)
		return storetest.Backend{
			Open: func(t *testing.T) storetest.Store {
				t.Helper()
				s, err := Open(t.Context(), databasetest.WithAsyncCommits(t, openPool(t, where)), directory.NewLog())
				if err != nil {
					t.Fatal(err)
				}
				databasetest.RefuseAsyncCommits(t, where)
				return s
			},
			Exec: func(t *testing.T, statement string) { t.Helper(); execute(t, where, statement) },
			Poison: func(t *testing.T, body string) {
				t.Helper()
				execute(t, where, `CREATE FUNCTION poisoned() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE data_exception; END $$`)
				execute(t, where, `CREATE TRIGGER poison BEFORE INSERT ON room_log FOR EACH ROW WHEN (NEW.body = '`+body+`') EXECUTE FUNCTION poisoned()`)
			},
		}
	})
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
