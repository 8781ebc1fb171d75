package database

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

var watched = Schema{"watched_version", fstest.MapFS{
	"0001_one.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")},
	"0012_two.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")},
}}

// watching makes a Watch of a database that has the schema.
func watching(t *testing.T) (w *Watch, run func(statement string), told *[]string, log *bytes.Buffer) {
	t.Helper()
	base := os.Getenv("PARLEY_TEST_POSTGRES")
	if base == "" {
		t.Fatal("PARLEY_TEST_POSTGRES is not set; run the tests by make test")
	}
	db, err := Open(t.Context(), base, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	run = func(statement string) {
		t.Helper()
		if _, err = db.Postgres.Exec(context.WithoutCancel(t.Context()), statement); err != nil {
			t.Fatal(err)
		}
	}
	run("DROP TABLE IF EXISTS watched_version")
	t.Cleanup(func() {
		run("DROP TABLE IF EXISTS watched_version")
		db.Close()
	})
	if err = MigratePostgres(t.Context(), db.Postgres, watched); err != nil {
		t.Fatal(err)
	}
	told, log = &[]string{}, &bytes.Buffer{}
	w, err = NewWatch(db, watched, func(reason string) { *told = append(*told, reason) }, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.drop(context.WithoutCancel(t.Context())) })
	return w, run, told, log
}

func checks(t *testing.T, w *Watch, times int) {
	t.Helper()
	for range times {
		w.check(t.Context())
	}
}

func TestAnOlderSchemaIsToldAtOnceAndANewerOneIsNone(t *testing.T) {
	w, run, told, log := watching(t)
	checks(t, w, 3)
	run("INSERT INTO watched_version (version_id, is_applied) VALUES (13, true)") // as the next version of us migrates
	checks(t, w, 3)
	if len(*told) != 0 {
		t.Fatal(*told)
	}
	run("DELETE FROM watched_version WHERE version_id > 1") // as a backup from before an upgrade
	checks(t, w, 2)
	if len(*told) != 1 || !strings.Contains((*told)[0], "version 1, and this program needs 12") || !strings.Contains(log.String(), "restart") {
		t.Fatal(*told, log)
	}
	run("DROP TABLE watched_version")
	checks(t, w, 1)
	if len(*told) != 2 || !strings.Contains((*told)[1], "version 0") {
		t.Fatal(*told)
	}
	run("CREATE TABLE watched_version (version_id bigint, is_applied boolean)")
	run("INSERT INTO watched_version VALUES (12, true)")
	checks(t, w, 1)
	if len(*told) != 2 {
		t.Fatal("one good look is not enough", *told)
	}
	checks(t, w, 1)
	if len(*told) != 3 || (*told)[2] != "" {
		t.Fatal(*told)
	}
}

func TestPostgresIsAwayAfterThreeLooksAndBackAfterTwo(t *testing.T) {
	w, run, told, _ := watching(t)
	away := func() {
		w.config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("sesame: nobody there")
		}
		run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%watched_version%' AND pid <> pg_backend_pid()")
	}
	back := func() { w.config.DialFunc = (&net.Dialer{}).DialContext }
	checks(t, w, 1)
	away()
	checks(t, w, 2)
	back()
	checks(t, w, 1)
	away()
	checks(t, w, 2)
	if len(*told) != 0 {
		t.Fatal("two bad looks are enough", *told)
	}
	checks(t, w, 2)
	if len(*told) != 1 || (*told)[0] != "PostgreSQL does not answer" {
		t.Fatal(*told)
	}
	back()
	checks(t, w, 1)
	away()
	checks(t, w, 1)
	back()
	checks(t, w, 1)
	if len(*told) != 1 {
		t.Fatal("one good look is enough", *told)
	}
	checks(t, w, 1)
	if len(*told) != 2 || (*told)[1] != "" {
		t.Fatal(*told)
	}
}

func TestABusyPoolIsNoReason(t *testing.T) {
	w, run, told, _ := watching(t)
	run("SELECT 1")
	db, err := OpenPostgres(t.Context(), os.Getenv("PARLEY_TEST_POSTGRES")+"&pool_max_conns=1")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if w, err = NewWatch(&Database{Postgres: db}, watched, w.report, w.log); err != nil {
		t.Fatal(err)
	}
	defer w.drop(context.WithoutCancel(t.Context()))
	began := time.Now()
	checks(t, w, 4)
	if len(*told) != 0 || time.Since(began) > checkTimeout {
		t.Error(*told, time.Since(began))
	}
}

func TestAFileIsNotWatched(t *testing.T) {
	db, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "x.db"), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w, err := NewWatch(db, watched, func(reason string) { t.Error(reason) }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	if err := w.Run(ctx, stop); err != nil {
		t.Error(err)
	}
}
