package database

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-chat/parley/pkg/databasetest"
)

// A pooler that exchanges sessions between transactions loses what we set, advisory locks and prepared statements.
func TestAPoolerThatSharesSessionsIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"transaction", "statement"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			through := databasetest.PgBouncer(t, databasetest.Server(t), mode, 2)
			for _, more := range []string{"", "&default_query_exec_mode=exec", "&default_query_exec_mode=cache_describe"} {
				pool, err := OpenPostgres(t.Context(), through.String()+more)
				if err == nil || !strings.Contains(err.Error(), "PgBouncer") || !strings.Contains(err.Error(), "pool_mode=session") || strings.Contains(err.Error(), "\n") {
					t.Error(more, err)
				}
				if err == nil {
					pool.Close()
				}
			}
		})
	}
}

// The other pods' transactions come between.
func TestABusyPoolerThatSharesSessionsIsRefused(t *testing.T) {
	t.Parallel()
	through := databasetest.PgBouncer(t, databasetest.Server(t), "transaction", 4)
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	defer others.Wait()
	defer stop()
	for range 3 {
		conn, err := pgx.Connect(ctx, through.String())
		if err != nil {
			t.Fatal(err)
		}
		others.Go(func() {
			defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
			for ctx.Err() == nil {
				_, _ = conn.Exec(ctx, "SELECT pg_sleep(0.001)")
			}
		})
	}
	for range 5 {
		if pool, err := OpenPostgres(t.Context(), through.String()); err == nil || !strings.Contains(err.Error(), "PgBouncer") {
			t.Error(err)
			if pool != nil {
				pool.Close()
			}
		}
	}
}

func TestAPoolerOfSessionsWorks(t *testing.T) {
	t.Parallel()
	through := databasetest.PgBouncer(t, databasetest.Server(t), "session", 10)
	schema := Schema{"pooled_version", migration("CREATE TABLE pooled (n bigint)")}
	pool, err := OpenPostgres(t.Context(), through.String())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	defer func() {
		_, _ = pool.Exec(context.WithoutCancel(t.Context()), "DROP TABLE IF EXISTS pooled, pooled_version")
	}()
	if err = MigratePostgres(t.Context(), pool, schema); err != nil {
		t.Fatal(err)
	}
	var told []string
	w, err := NewWatch(&Database{Postgres: pool}, schema, func(reason string) { told = append(told, reason) }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer w.drop(context.WithoutCancel(t.Context()))
	checks(t, w, 3)
	if len(told) > 0 {
		t.Error(told)
	}
}

// A pooler is told to share sessions while the service runs.
func TestAWatchNoticesThatSessionsAreShared(t *testing.T) {
	t.Parallel()
	through := databasetest.PgBouncer(t, databasetest.Server(t), "transaction", 2)
	config, err := parse(through.String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := pgx.ConnectConfig(t.Context(), config.ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.WithoutCancel(t.Context())) }()
	var told []string
	w := &Watch{config: config.ConnConfig, schema: Schema{Table: "nonesuch"}, report: func(reason string) { told = append(told, reason) }, log: slog.New(slog.DiscardHandler)}
	defer w.drop(context.WithoutCancel(t.Context()))
	checks(t, w, 1)
	for _, statement := range []string{"BEGIN", "SELECT 1"} { // takes the session that the watch had
		if _, err := other.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	checks(t, w, 1)
	if len(told) != 1 || !strings.Contains(told[0], "PgBouncer") {
		t.Error(told)
	}
}

func TestAnErrorThatWillComeAgainGivesTheConnectionUp(t *testing.T) {
	t.Parallel()
	pool, err := OpenPostgres(t.Context(), databasetest.Server(t).String())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for code, want := range map[string]bool{"25006": true, "57P01": true, "08006": true, "26000": true, "42P05": true, "57014": false, "23505": false, "40001": false} {
		conn, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Exec(t.Context(), "DO $$ BEGIN RAISE SQLSTATE '"+code+"'; END $$")
		if err == nil || conn.Conn().IsClosed() != want {
			t.Errorf("%s: given up %t, want %t; %v", code, conn.Conn().IsClosed(), want, err)
		}
		conn.Release()
	}
}

// A server that takes no writes any more: each connection says so, and none is used again.
func TestAServerThatTakesNoWritesIsLeft(t *testing.T) {
	t.Parallel()
	pool, err := OpenPostgres(t.Context(), databasetest.Server(t).String())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var all []*pgxpool.Conn
	for range 4 {
		conn, err := pool.Acquire(t.Context())
		if err == nil {
			_, err = conn.Exec(t.Context(), "SET default_transaction_read_only = on")
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
	}
	for _, conn := range all {
		conn.Release()
	}
	if _, err := pool.Exec(t.Context(), "CREATE TABLE unwritten ()"); err == nil {
		t.Error("written")
	}
	for range 8 {
		var refuses string
		if err := pool.QueryRow(t.Context(), "SHOW transaction_read_only").Scan(&refuses); err != nil || refuses != "off" {
			t.Error("a connection that refuses writes is still in use", err)
		}
	}
}

func TestWhyPostgresIsOutOfReachIsLoggedAtOnce(t *testing.T) {
	t.Parallel()
	server := databasetest.Server(t)
	role := "locked_out"
	databasetest.Run(t, server.String(), "DROP ROLE IF EXISTS "+role)
	databasetest.Run(t, server.String(), "CREATE ROLE "+role+" LOGIN PASSWORD 'right'")
	t.Cleanup(func() { databasetest.Run(t, server.String(), "DROP ROLE "+role) })
	wrong := *server
	wrong.User = url.UserPassword(role, "sesame")
	nowhere := *server
	nowhere.Path = "/nonesuch"
	plain := *server
	plain.RawQuery = "sslmode=require"
	for want, u := range map[string]url.URL{"28P01": wrong, "3D000": nowhere, "TLS": plain} {
		var log lockedBuffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			pool, err := open(ctx, u.String(), nil, slog.New(slog.NewTextHandler(&log, nil)))
			if err == nil {
				pool.Close()
			}
			done <- err
		}()
		waitUntil(t, "it is logged", func() bool { return log.String() != "" })
		cancel()
		err := <-done
		for _, logged := range []string{log.String(), err.Error()} {
			if !strings.Contains(logged, want) || strings.Contains(logged, "sesame") {
				t.Errorf("want %s: %s", want, logged)
			}
		}
	}
}

// The last try may be cut short by the end of the time, which is no reason.
func TestTheReasonOutlivesTheEndOfTheTime(t *testing.T) {
	t.Parallel()
	config, err := parse(databasetest.Server(t).String() + "&connect_timeout=1")
	if err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	ctx, cancel := context.WithCancel(t.Context())
	tried := 0
	config.ConnConfig.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		if tried++; tried > 1 {
			cancel()
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, &net.AddrError{Err: "the cable is cut"}
	}
	if err := waitReachable(ctx, config.ConnConfig, slog.New(slog.NewTextHandler(&log, nil))); err == nil || !strings.Contains(err.Error(), "the cable is cut") {
		t.Error(err)
	}
}

func TestARoleThatMayMakeNoTablesIsToldTheGrant(t *testing.T) {
	t.Parallel()
	server := databasetest.Server(t)
	name := "connect_only"
	drop := func() {
		databasetest.Run(t, server.String(), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
		databasetest.Run(t, server.String(), "DROP ROLE IF EXISTS "+name)
	}
	drop()
	t.Cleanup(drop)
	databasetest.Run(t, server.String(), "CREATE ROLE "+name+" LOGIN PASSWORD 'p'")
	databasetest.Run(t, server.String(), "CREATE DATABASE "+name)
	admin := *server
	admin.Path = "/" + name
	theirs := admin
	theirs.User = url.UserPassword(name, "p")
	revoke := "REVOKE ALL ON SCHEMA public FROM PUBLIC"
	for _, statement := range []string{"REVOKE CREATE ON SCHEMA public FROM PUBLIC", revoke} {
		databasetest.Run(t, admin.String(), statement)
		pool, err := OpenPostgres(t.Context(), theirs.String())
		if err != nil {
			t.Fatal(err)
		}
		err = MigratePostgres(t.Context(), pool, things)
		if err == nil || !strings.Contains(err.Error(), `GRANT USAGE, CREATE ON SCHEMA "public" TO "connect_only"`) || strings.Contains(err.Error(), "\n") {
			t.Error(statement, err)
		}
		pool.Close()
	}
	databasetest.Run(t, admin.String(), `GRANT USAGE, CREATE ON SCHEMA "public" TO "connect_only"`)
	pool, err := OpenPostgres(t.Context(), theirs.String())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := MigratePostgres(t.Context(), pool, things); err != nil {
		t.Error(err)
	}
}

func TestUnusableIsByTheSeverityToo(t *testing.T) {
	t.Parallel()
	for severity, want := range map[string]bool{"ERROR": false, "FATAL": true, "PANIC": true} {
		if got := unusable(&pgconn.PgError{SeverityUnlocalized: severity, Code: "XX000"}); got != want {
			t.Error(severity, got)
		}
	}
}

// lockedBuffer is written to by one goroutine and read by another.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// waitUntil waits for a condition, for as long as a slow machine may take.
func waitUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline, pause := time.After(30*time.Second), time.NewTicker(5*time.Millisecond)
	defer pause.Stop()
	for !ok() {
		select {
		case <-pause.C:
		case <-deadline:
			t.Fatal("not within 30 s: ", what)
		}
	}
}
