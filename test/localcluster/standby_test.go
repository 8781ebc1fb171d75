package localcluster

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/lifecycle"
)

// runs starts a part of the cluster for the time of the test.
func runs(t *testing.T, part lifecycle.Component) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ran := make(chan struct{}), make(chan error, 1)
	go func() { ran <- part.Run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-ran:
		ran <- nil
		t.Fatal(err)
	}
}

// startPrimaryAndStandby starts both, the second a copy that follows the first.
func startPrimaryAndStandby(t *testing.T) (primary, standby Postgres) {
	t.Helper()
	taken, folder := map[string]bool{}, t.TempDir()
	server := func(name string) Postgres {
		address, err := freeAddress(t.Context(), taken)
		if err != nil {
			t.Fatal(err)
		}
		return Postgres{Folder: filepath.Join(folder, name), Address: address, Password: "test", LogFile: filepath.Join(folder, name+".log"), Throwaway: true}
	}
	primary, standby = server("primary"), server("standby")
	start := func(p Postgres) {
		child, err := p.Child(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		runs(t, child)
	}
	start(primary)
	bin, err := postgresBin()
	if err != nil {
		t.Fatal(err)
	}
	program, err := beside(bin, "pg_basebackup")
	if err != nil {
		t.Fatal(err)
	}
	backup := exec.CommandContext(t.Context(), program, "-D", standby.Folder, "-d", primary.URL("postgres"), "-R", "-X", "stream", "-c", "fast")
	account, err := standby.account()
	if err == nil {
		err = os.Mkdir(standby.Folder, 0o700)
	}
	if err == nil && account != nil {
		err = os.Chown(standby.Folder, int(account.Credential.Uid), int(account.Credential.Gid))
	}
	if err != nil {
		t.Fatal(err)
	}
	backup.SysProcAttr, backup.Dir = attached(account), "/"
	if out, err := backup.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, out)
	}
	start(standby)
	return primary, standby
}

// A forwarder leads connections to the standby for a while: none of them may be used for writes ever after, and
// whoever asks meanwhile is told that the service is not ready.
func TestAStandbyIsLeftAsSoonAsThereIsAPrimary(t *testing.T) {
	t.Parallel()
	primary, standby := startPrimaryAndStandby(t)
	relay, err := newRelay(t.Context(), "postgres", "127.0.0.1:0", primary.Address)
	if err != nil {
		t.Fatal(err)
	}
	runs(t, relay)
	through := primary
	through.Address = relay.listener.Addr().String()
	log := slog.New(slog.DiscardHandler)
	db, err := database.Open(t.Context(), through.URL("postgres"), nil, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	schema := database.Schema{Table: "sends_version", Migrations: fstest.MapFS{"0001_sends.sql": {Data: []byte("-- +goose Up\nCREATE TABLE sends (n bigint);\n")}}}
	if err = database.MigratePostgres(t.Context(), db.Postgres, schema); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	reason := ""
	watch, err := database.NewWatch(db, schema, func(why string) { mu.Lock(); defer mu.Unlock(); reason = why }, log)
	if err != nil {
		t.Fatal(err)
	}
	runs(t, watch)
	ready := func() bool { mu.Lock(); defer mu.Unlock(); return reason == "" }

	_, _ = sendOnEach(t.Context(), db.Postgres)
	relay.turn(standby.Address)
	end(t, primary, "pid % 2 = 0")
	for range 2 { // the first time ends connections, the second time opens others in their place
		_, _ = sendOnEach(t.Context(), db.Postgres)
	}
	end(t, primary, "true")
	eventually(t, "the standby makes it unready", func() bool { return !ready() })
	relay.turn(primary.Address)
	for range 2 {
		// A connection that was ended above may only now tell it.
		sent, err := sendOnEach(t.Context(), db.Postgres)
		if ended, ok := errors.AsType[*pgconn.PgError](err); err != nil && (!ok || ended.Code != adminShutdown) {
			t.Errorf("only %d sends, although the primary is back: %v", sent, err)
		}
	}
	eventually(t, "it is ready again", ready)
}

// adminShutdown is what a connection says that was ended by pg_terminate_backend.
const adminShutdown = "57P01"

// turn passes new connections on to another target; those that are there stay.
func (r *Relay) turn(target string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.target = target
}

// sendOnEach sends by as many connections as the pool may have, at the same time.
func sendOnEach(ctx context.Context, pool *pgxpool.Pool) (sent int, err error) {
	var all []*pgxpool.Conn
	for range pool.Config().MaxConns {
		conn, failed := pool.Acquire(ctx)
		if failed != nil {
			err = failed
			continue
		}
		all = append(all, conn)
	}
	for _, conn := range all {
		if _, failed := conn.Exec(ctx, "INSERT INTO sends VALUES (1)"); failed == nil {
			sent++
		} else {
			err = failed
		}
		conn.Release()
	}
	return sent, err
}

// end ends connections of clients to a server.
func end(t *testing.T, server Postgres, which string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND "+which); err != nil {
		t.Fatal(err)
	}
}
