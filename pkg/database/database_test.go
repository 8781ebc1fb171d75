package database

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

var things = Schema{"things_version", fstest.MapFS{"0001_things.sql": {Data: []byte("-- +goose Up\nCREATE TABLE things (n bigint);\n")}}}

func TestMigrateSQLiteTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c.db")
	for range 2 {
		db, err := OpenSQLite(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if err := MigrateSQLite(t.Context(), db, things); err != nil {
			t.Fatal(err)
		}
		var sync, journal string
		if err := db.QueryRow("PRAGMA synchronous").Scan(&sync); err != nil || sync != "2" {
			t.Error("synchronous", sync, err)
		}
		if err := db.QueryRow("PRAGMA journal_mode").Scan(&journal); err != nil || journal != "wal" {
			t.Error("journal_mode", journal, err)
		}
		if _, err := db.Exec("INSERT INTO things VALUES (1)"); err != nil {
			t.Error(err)
		}
		_ = db.Close()
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestMigratePostgresFromManyPods(t *testing.T) {
	base := os.Getenv("PARLEY_TEST_POSTGRES")
	if base == "" {
		t.Fatal("PARLEY_TEST_POSTGRES is not set; run the tests by make test")
	}
	pool, err := OpenPostgres(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	drop := func() {
		_, _ = pool.Exec(context.Background(), "DROP TABLE IF EXISTS things, things_version")
	}
	drop()
	defer drop()
	done := make(chan error)
	for range 4 {
		go func() { done <- MigratePostgres(t.Context(), pool, things) }()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	var n int
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM things").Scan(&n); err != nil {
		t.Error(err)
	}
}

func TestAMalformedURLKeepsItsPasswordToItself(t *testing.T) {
	_, err := OpenPostgres(t.Context(), "postgres://u:sesame@[::1/x")
	if err == nil || len(err.Error()) > 60 {
		t.Error(err)
	}
}

func TestCommitsAreDurableWhateverTheDefault(t *testing.T) {
	base := os.Getenv("PARLEY_TEST_POSTGRES")
	for asked, want := range map[string]string{"off": "on", "local": "local", "on": "on"} {
		pool, err := OpenPostgres(t.Context(), base+"&options=-csynchronous_commit%3D"+asked)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := pool.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&got); err != nil || got != want {
			t.Errorf("%s became %s (%v), want %s", asked, got, err, want)
		}
		pool.Close()
	}
}
