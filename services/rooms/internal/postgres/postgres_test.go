package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/databasetest"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/room"
	"github.com/parley-chat/parley/services/rooms/internal/sqlstore"
	"github.com/parley-chat/parley/services/rooms/internal/storetest"
)

// Every write is on disk when it is acked, whatever the sessions say.
func TestContract(t *testing.T) {
	fresh := func(t *testing.T) storetest.Backend {
		t.Helper()
		where := storetest.Postgres(t)
		return storetest.Backend{
			Open: func(t *testing.T) storetest.Store {
				t.Helper()
				pool := databasetest.WithAsyncCommits(t, openPool(t, where))
				s, err := Open(t.Context(), pool, room.NewLog())
				if err != nil {
					t.Fatal(err)
				}
				databasetest.RefuseAsyncCommits(t, where)
				return storetest.NewStore(s, &database.Database{Postgres: pool})
			},
			Exec: func(t *testing.T, statement string) { t.Helper(); execute(t, where, statement) },
			Poison: func(t *testing.T, body string) {
				t.Helper()
				execute(t, where, `CREATE FUNCTION poisoned() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE data_exception; END $$`)
				execute(t, where, `CREATE TRIGGER poison BEFORE INSERT ON room_log FOR EACH ROW WHEN (NEW.body = '`+body+`') EXECUTE FUNCTION poisoned()`)
			},
		}
	}
	storetest.Run(t, fresh)
	storetest.RunTables(t, fresh)
}

func restOf(pool *pgxpool.Pool) *sqlstore.Store {
	return sqlstore.New((&database.Database{Postgres: pool}).DB(message.DatabaseAway))
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

func openPool(t testing.TB, where string) *pgxpool.Pool {
	t.Helper()
	pool, err := database.OpenPostgres(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}
