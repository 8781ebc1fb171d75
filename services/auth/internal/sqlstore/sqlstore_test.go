package sqlstore

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/audit/audittest"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/databasetest"
	"github.com/parley-chat/parley/services/auth/internal/storetest"
)

func TestStoreOnSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Store {
		t.Helper()
		return open(t, "sqlite:"+storetest.SQLite(t), "log")
	})
}

func TestStoreOnPostgres(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Store {
		t.Helper()
		return openPostgres(t)
	})
}

// auditTable is a store's table of audit entries, as the suite of all such tables takes it.
type auditTable struct{ *Store }

func (a auditTable) Add(ctx context.Context, entries ...audit.Entry) error {
	statements, err := a.audit.Insert(entries...)
	if err != nil {
		return err
	}
	return a.db.Batch(ctx, statements...)
}

func (a auditTable) Page(ctx context.Context, f audit.Filter) ([]audit.Entry, error) {
	return a.AuditPage(ctx, f)
}

func (a auditTable) Prune(ctx context.Context, before time.Time) (int, error) {
	return a.PruneAudit(ctx, before)
}

func (a auditTable) Exec(ctx context.Context, statement string) error {
	_, err := a.db.Exec(ctx, fmt.Sprintf(statement, a.audit))
	return err
}

func TestAuditOnSQLite(t *testing.T) {
	t.Parallel()
	audittest.Run(t, func(t *testing.T) audittest.Table {
		t.Helper()
		return auditTable{open(t, "sqlite:"+storetest.SQLite(t), "log")}
	})
}

func TestAuditOnPostgres(t *testing.T) {
	t.Parallel()
	audittest.Run(t, func(t *testing.T) audittest.Table {
		t.Helper()
		return auditTable{openPostgres(t)}
	})
	t.Run("a table is never emptied", func(t *testing.T) {
		if _, err := openPostgres(t).db.Exec(t.Context(), `TRUNCATE auth_audit`); err == nil {
			t.Error("TRUNCATE is not refused")
		}
	})
}

func TestTheLobbyKeepsItsName(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(db storetest.Database) {
		open(db.T, db.URL, "one")
		if log, err := open(db.T, db.URL, "two").LobbyLog(db.T.Context()); err != nil || log != "one" {
			db.T.Fatal(log, err)
		}
	})
}

func BenchmarkStore(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { storetest.Bench(b, open(b, "sqlite:"+storetest.SQLite(b), "log")) })
	b.Run("postgres", func(b *testing.B) { storetest.Bench(b, open(b, storetest.Postgres(b), "log")) })
}

func open(tb testing.TB, url string, log chat.LogID) *Store {
	tb.Helper()
	db, err := database.Open(tb.Context(), url, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	s, err := Open(tb.Context(), db, log)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// openPostgres opens a database of sessions whose commits don't wait for the disk, and that refuses such commits:
// every write is on disk when it is acked, whatever the sessions say.
func openPostgres(t *testing.T) *Store {
	t.Helper()
	url := storetest.Postgres(t)
	pool, err := database.OpenPostgres(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s, err := Open(t.Context(), &database.Database{Postgres: databasetest.WithAsyncCommits(t, pool)}, "log")
	if err != nil {
		t.Fatal(err)
	}
	databasetest.RefuseAsyncCommits(t, url)
	return s
}
