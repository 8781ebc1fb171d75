package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
)

// How a Watch checks. One late answer is no reason to send everybody away, nor one good answer to bring them back.
const (
	checkEvery           = 5 * time.Second
	recheckEvery         = time.Second // while it can't be used
	checkTimeout         = 4 * time.Second
	failuresUntilUnready = 3
	successesUntilReady  = 2
)

// Schema is what a service needs of its database: its migrations, which are counted in a table of its own, so
// that services may share a database.
type Schema struct {
	Table      string
	Migrations fs.FS // files at its root
}

// version is that of the newest migration.
func (s Schema) version() (newest int64, err error) {
	files, err := fs.Glob(s.Migrations, "*.sql")
	if err != nil {
		return 0, fmt.Errorf("migrations: %w", err)
	}
	for _, file := range files {
		version, err := goose.NumericComponent(file)
		if err != nil {
			return 0, fmt.Errorf("migrations: %w", err)
		}
		newest = max(newest, version)
	}
	return newest, nil
}

// Watch checks every few seconds that PostgreSQL answers and has the schema that the service needs, or a newer
// one, as during an upgrade. It has a connection of its own: a pool that is busy is no reason to be unready.
// A SQLite file is never away, and not checked.
type Watch struct {
	config *pgx.ConnConfig // nil: SQLite
	schema Schema
	needed int64
	report func(reason string)
	log    *slog.Logger

	conn      *pgx.Conn // nil while there is none
	good, bad int       // checks in a row
	reason    string    // as last told
}

// NewWatch makes a Watch of db, which has the schema. Run tells the reason why the service can't do its work, ""
// once it can again.
func NewWatch(db *Database, schema Schema, report func(reason string), log *slog.Logger) (*Watch, error) {
	w := &Watch{schema: schema, report: report, log: log}
	if db.Postgres == nil {
		return w, nil
	}
	w.config = db.Postgres.Config().ConnConfig
	w.config.Tracer = nil
	var err error
	w.needed, err = schema.version()
	return w, err
}

// Run looks until ctx ends.
func (w *Watch) Run(ctx context.Context, ready func()) error {
	ready()
	if w.config == nil {
		<-ctx.Done()
		return nil
	}
	defer func() { w.drop(context.WithoutCancel(ctx)) }()
	timer := time.NewTimer(checkEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		w.check(ctx)
		if w.reason == "" {
			timer.Reset(checkEvery)
		} else {
			timer.Reset(recheckEvery)
		}
	}
}

func (w *Watch) check(ctx context.Context) {
	version, err := w.version(ctx)
	if ctx.Err() != nil {
		return
	}
	reason := w.reason
	switch {
	case errors.Is(err, errReadOnly), errors.Is(err, errSharedSessions): // certain at once, as what follows
		w.good, w.bad = 0, 0
		reason = "PostgreSQL can't be used: " + certainCause(err).Error()
	case err != nil:
		w.good = 0
		if w.bad++; w.bad >= failuresUntilUnready {
			reason = "PostgreSQL does not answer"
		}
	case version < w.needed:
		w.good, w.bad = 0, 0
		reason = fmt.Sprintf("the database's schema is of version %d, and this program needs %d: was an older backup restored? A restart brings it up to date", version, w.needed)
	default:
		w.bad = 0
		if w.good++; w.good >= successesUntilReady {
			reason = ""
		}
	}
	if reason == w.reason {
		return
	}
	w.reason = reason
	w.report(reason)
	if reason == "" {
		w.log.InfoContext(ctx, "the database is usable again")
	} else {
		w.log.WarnContext(ctx, "the database is not usable; the service is not ready", slog.String("reason", reason), slog.Any("error", err))
	}
}

// certainCause returns errReadOnly or errSharedSessions, whichever err is.
func certainCause(err error) error {
	if errors.Is(err, errReadOnly) {
		return errReadOnly
	}
	return errSharedSessions
}

// version asks PostgreSQL for the version of the schema, 0 if there is none, and whether it can be used.
func (w *Watch) version(ctx context.Context) (version int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if w.conn == nil {
		if w.conn, err = pgx.ConnectConfig(ctx, w.config); err != nil {
			w.conn = nil
			return 0, fmt.Errorf("connect: %w", err)
		}
	}
	var refuses bool
	var session string
	err = w.conn.QueryRow(ctx, `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean, pg_backend_pid()::text`,
		pgx.QueryExecModeSimpleProtocol).Scan(&refuses, &session)
	switch {
	case err != nil:
		err = fmt.Errorf("ask PostgreSQL what it is: %w", err)
	case refuses:
		err = errReadOnly
	case session != w.conn.PgConn().CustomData()[backendPID]:
		err = errSharedSessions
	default:
		version, err = w.schemaVersion(ctx)
	}
	if err != nil {
		w.drop(ctx)
	}
	return version, err
}

func (w *Watch) schemaVersion(ctx context.Context) (version int64, err error) {
	err = w.conn.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM "+pgx.Identifier{w.schema.Table}.Sanitize(), pgx.QueryExecModeSimpleProtocol).Scan(&version)
	const undefinedTable = "42P01"
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == undefinedTable {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("ask for the version of the schema: %w", err)
	}
	return version, nil
}

// drop closes the connection.
func (w *Watch) drop(ctx context.Context) {
	if w.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = w.conn.Close(ctx)
	w.conn = nil
}
