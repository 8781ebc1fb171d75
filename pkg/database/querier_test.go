package database

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/databasetest"
)

// eachDB runs test on an empty table "queried" of each database.
func eachDB(t *testing.T, test func(t *testing.T, db DB)) {
	t.Helper()
	for kind, name := range map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "postgres": os.Getenv("PARLEY_TEST_POSTGRES")} {
		t.Run(kind, func(t *testing.T) {
			opened, err := Open(t.Context(), name, nil, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			db := opened.DB("gone fishing")
			drop := func() {
				if _, err := db.Exec(context.WithoutCancel(t.Context()), "DROP TABLE IF EXISTS queried"); err != nil {
					t.Error(err)
				}
			}
			drop()
			defer drop()
			if _, err := db.Exec(t.Context(), "CREATE TABLE queried (n bigint PRIMARY KEY)"); err != nil {
				t.Fatal(err)
			}
			test(t, db)
		})
	}
}

const insert = "INSERT INTO queried (n) VALUES ($1)"

func numbers(t *testing.T, q Querier) []int {
	t.Helper()
	list, err := Collect(t.Context(), q, func(row Row) (n int, err error) { return n, row.Scan(&n) }, "SELECT n FROM queried ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func want(t *testing.T, q Querier, count int) {
	t.Helper()
	if list := numbers(t, q); len(list) != count || list == nil {
		t.Errorf("%v, want %d", list, count)
	}
}

func TestStatementsOnBothDatabases(t *testing.T) {
	eachDB(t, func(t *testing.T, db DB) {
		want(t, db, 0)
		for _, n := range []int{1, 2} {
			if changed, err := db.Exec(t.Context(), insert, n); err != nil || changed != 1 {
				t.Error(changed, err)
			}
		}
		if _, err := db.Exec(t.Context(), insert, 2); !IsDuplicate(err) || IsDuplicate(errors.New("another")) || chat.CodeOf(err) != chat.CodeInternal {
			t.Error(err)
		}
		if changed, err := db.Exec(t.Context(), "UPDATE queried SET n = n + $1", 10); err != nil || changed != 2 {
			t.Error(changed, err)
		}
		var n int
		if err := db.QueryRow(t.Context(), "SELECT n - $2 FROM queried WHERE n = $1", 11, 10).Scan(&n); err != nil || n != 1 {
			t.Error(n, err)
		}
		if err := db.QueryRow(t.Context(), "SELECT n FROM queried WHERE n = $1", 3).Scan(&n); !errors.Is(err, sql.ErrNoRows) {
			t.Error(err)
		}
		no := errors.New("no")
		if err := db.Query(t.Context(), func(Row) error { return no }, "SELECT n FROM queried"); !errors.Is(err, no) {
			t.Error(err)
		}
		want(t, db, 2)
	})
}

func TestATransactionIsAllOrNothing(t *testing.T) {
	eachDB(t, func(t *testing.T, db DB) {
		no := errors.New("no")
		err := db.InTx(t.Context(), func(tx Querier) error {
			if _, err := tx.Exec(t.Context(), insert, 1); err != nil {
				return err
			}
			want(t, tx, 1)
			return no
		})
		if !errors.Is(err, no) {
			t.Error(err)
		}
		err = db.InTx(t.Context(), func(tx Querier) error {
			return tx.Batch(t.Context(), Statement{insert, []any{1}}, Statement{insert, []any{1}})
		})
		if !IsDuplicate(err) {
			t.Error(err)
		}
		if err := db.Batch(t.Context(), Statement{insert, []any{1}}, Statement{insert, []any{1}}); !IsDuplicate(err) {
			t.Error(err)
		}
		want(t, db, 0)
		if err := db.Batch(t.Context(), Statement{insert, []any{1}}, Statement{insert, []any{2}}); err != nil {
			t.Error(err)
		}
		if err := db.InTx(t.Context(), func(tx Querier) error { return tx.Batch(t.Context(), Statement{insert, []any{3}}) }); err != nil {
			t.Error(err)
		}
		want(t, db, 3)
	})
}

// However a statement is run, its commit is on disk when it returns.
func TestEveryWayToWriteIsDurable(t *testing.T) {
	server := databasetest.Server(t).String()
	pool, err := OpenPostgres(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	db := (&Database{Postgres: databasetest.WithAsyncCommits(t, pool)}).DB("")
	const ensure = `SELECT 1 / CASE WHEN current_setting('synchronous_commit') = 'off' THEN 0 ELSE 1 END`
	if _, err := db.Exec(t.Context(), ensure); err != nil {
		t.Error(err)
	}
	if err := db.Batch(t.Context(), Statement{Text: ensure}); err != nil {
		t.Error(err)
	}
	if err := db.InTx(t.Context(), func(tx Querier) error { return tx.Batch(t.Context(), Statement{Text: ensure}) }); err != nil {
		t.Error(err)
	}
}

func TestAPostgresThatCantBeUsedIsUnavailable(t *testing.T) {
	pool, err := OpenPostgres(t.Context(), databasetest.Server(t).String())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	db := (&Database{Postgres: pool}).DB("gone fishing")
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	coded := chat.Errorf(chat.CodeConflict, "taken")
	for what, call := range map[string]struct {
		err  error
		want chat.Code
	}{
		"late":             {db.Batch(late, Statement{Text: "SELECT 1"}), chat.CodeUnavailable},
		"shutting down":    {exec(t, db, "57P01"), chat.CodeUnavailable},
		"a standby":        {exec(t, db, readOnly), chat.CodeUnavailable},
		"a deadlock":       {exec(t, db, "40P01"), chat.CodeUnavailable},
		"a lack of room":   {exec(t, db, "53100"), chat.CodeUnavailable},
		"a mistake":        {exec(t, db, "42601"), chat.CodeInternal},
		"an error of ours": {db.InTx(t.Context(), func(Querier) error { return coded }), chat.CodeConflict},
	} {
		if chat.CodeOf(call.err) != call.want {
			t.Errorf("%s: %v", what, call.err)
		}
	}
}

// exec has PostgreSQL raise an error of that code.
func exec(t *testing.T, db DB, code string) error {
	t.Helper()
	_, err := db.Exec(t.Context(), "DO $$ BEGIN RAISE SQLSTATE '"+code+"'; END $$")
	return err
}
