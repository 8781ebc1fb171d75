package storetest

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parley-chat/parley/pkg/webapi"
)

// Postgres returns the URL of an empty database of its own, which goes with the test. A missing server
// is a failure.
func Postgres(t testing.TB) string {
	t.Helper()
	server := os.Getenv("PARLEY_TEST_POSTGRES")
	if server == "" {
		t.Fatal("PARLEY_TEST_POSTGRES names no PostgreSQL to test with; make test starts one")
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context, statement string) {
		conn, err := pgx.Connect(ctx, server)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(ctx) }()
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	name := "rooms_" + strings.ToLower(webapi.NewID())
	run(t.Context(), "CREATE DATABASE "+name)
	t.Cleanup(func() { run(context.WithoutCancel(t.Context()), "DROP DATABASE "+name+" WITH (FORCE)") })
	u.Path = "/" + name
	return u.String()
}
