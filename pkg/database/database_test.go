package database

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/parley-chat/parley/pkg/env"
)

var things = Schema{"things_version", migration("CREATE TABLE things (n bigint)")}

// migration is the first and only one of a schema.
func migration(statement string) fstest.MapFS {
	return fstest.MapFS{"0001_first.sql": {Data: []byte("-- +goose Up\n" + statement + ";\n")}}
}

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

// Whoever pastes a password into a URL as it is must be told what to do.
func TestAMalformedURLKeepsItsPasswordToItself(t *testing.T) {
	for _, url := range []string{
		"postgres://u:sesame@[::1/x", "postgres://u:aB/sesame=@host/x", "postgres://u:sesame#y@host/x", "postgres://u:12#sesame@host/x",
		"postgres://u:12/sesame@host/x", "postgres://u:%zzsesame@host/x",
	} {
		_, err := OpenPostgres(t.Context(), url)
		r := env.New(func(string) (string, bool) { return url, true })
		From(r, "PARLEY_X_DATABASE", "Things")
		for _, err := range []error{err, r.Err()} {
			if err == nil || strings.Contains(err.Error(), "sesame") || !strings.Contains(err.Error(), "percent-encode") || !strings.Contains(err.Error(), "PGPASSWORD") {
				t.Error(url, err)
			}
		}
	}
}

func TestAMissingCertificateIsNamed(t *testing.T) {
	_, err := OpenPostgres(t.Context(), "postgres://u:sesame@host/x?sslmode=verify-full&sslrootcert=/nonesuch")
	if err == nil || strings.Contains(err.Error(), "sesame") || !strings.Contains(err.Error(), "/nonesuch") {
		t.Error(err)
	}
}

// Accounts and signing keys are in such files, whatever the umask was and whatever made them.
func TestOthersCantReadASQLiteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil { // as an older version made it
		t.Fatal(err)
	}
	db, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err = db.Exec("CREATE TABLE x (n)"); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Error(info.Mode(), file, err)
		}
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
