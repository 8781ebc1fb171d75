package database

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/databasetest"
)

func split(t *testing.T, size int) *Database {
	t.Helper()
	server := *databasetest.Server(t)
	query := server.Query()
	query.Set("pool_max_conns", fmt.Sprint(size))
	query.Set("pool_min_conns", "1")
	server.RawQuery = query.Encode()
	db, err := OpenSplit(t.Context(), server.String(), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func setting(t *testing.T, row Row) (value string) {
	t.Helper()
	if err := row.Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// The statements that go by an index have one plan each; the others are planned as the server is set up, also in a session
// that a pooler has taken from the first pool. Both give up what they lock.
func TestEachOfTwoPoolsHasItsOwnPlanner(t *testing.T) {
	t.Parallel()
	db := split(t, 8)
	for name, want := range map[string][2]string{
		"plan_cache_mode": {"force_generic_plan", "auto"}, "enable_seqscan": {"off", "on"}, "idle_in_transaction_session_timeout": {"5s", "5s"},
	} {
		ask := "SELECT current_setting('" + name + "')"
		got := [2]string{setting(t, db.Postgres.QueryRow(t.Context(), ask)), setting(t, db.DB("away").QueryRow(t.Context(), ask))}
		if got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	conn, err := db.Postgres.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if err = prepare(ownPlan)(t.Context(), conn.Conn().PgConn()); err != nil {
		t.Fatal(err)
	}
	if got := setting(t, conn.QueryRow(t.Context(), "SELECT current_setting('plan_cache_mode') || current_setting('enable_seqscan')")); got != "autoon" {
		t.Errorf("a session of the other pool has %s", got)
	}
}

func TestTwoPoolsShareTheConnections(t *testing.T) {
	t.Parallel()
	for size, want := range map[int][2]int32{16: {12, 4}, 8: {6, 2}, 3: {2, 1}, 2: {1, 1}, 1: {1, 1}} {
		db := split(t, size)
		if got := [2]int32{db.Postgres.Stat().MaxConns(), db.general.Stat().MaxConns()}; got != want {
			t.Errorf("%d connections are shared as %v, want %v", size, got, want)
		}
		if got := db.stats().maxOpen; got != int(want[0]+want[1]) {
			t.Errorf("%d connections may be opened, it is told", got)
		}
		if err := db.Register(prometheus.NewRegistry(), "test"); err != nil {
			t.Error(err)
		}
		db.Close()
		for _, pool := range []*pgxpool.Pool{db.Postgres, db.general} {
			if err := pool.Ping(context.Background()); err == nil {
				t.Error("a pool is open after Close")
			}
		}
	}
}

func TestAFileIsNotSplit(t *testing.T) {
	t.Parallel()
	db, err := OpenSplit(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "x.db"), nil, slog.New(slog.DiscardHandler))
	if err != nil || db.SQLite == nil || db.Postgres != nil || db.general != nil {
		t.Fatal(db, err)
	}
	db.Close()
}
