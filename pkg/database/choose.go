package database

import (
	"context"
	"database/sql"
	"log/slog"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/trace"
)

// poolSize is how many connections to PostgreSQL a pod may open in all its pools, where the URL does not say
// (pool_max_conns).
const poolSize = "16"

// Database is the one that an operator has named: Postgres or SQLite, the other is nil.
type Database struct {
	Postgres *pgxpool.Pool
	// general is a second pool on the same PostgreSQL, nil for none: see OpenSplit.
	general *pgxpool.Pool
	SQLite  *sql.DB
}

// From reads the variable that names a database; what says what is kept there.
func From(r *env.Reader, variable, what string) string {
	name := r.RequiredSecret(variable, what+": `postgres://user:password@host/database`, or `sqlite:/path/to/file.db` for a single process. "+
		"The password may come apart from the URL, as it is, in `PGPASSWORD`; within the URL it is percent-encoded.")
	switch {
	case name == "" || sqlitePath(name) != "":
	case !isPostgres(name):
		r.Mistake("%s is neither a postgres:// URL nor sqlite: and a path", variable)
	default:
		if _, err := parse(name); err != nil {
			r.Mistake("%s: %v", variable, err)
		}
	}
	return name
}

// Open opens the database of that name. Within a trace, what PostgreSQL is asked is traced; a nil tracer is none.
// Why PostgreSQL can't be reached yet goes to log.
func Open(ctx context.Context, name string, tracer *trace.Tracer, log *slog.Logger) (*Database, error) {
	if path := sqlitePath(name); path != "" {
		db, err := OpenSQLite(ctx, path)
		return &Database{SQLite: db}, err
	}
	pool, err := open(ctx, withPoolSize(name), tracer, log)
	return &Database{Postgres: pool}, err
}

// Close gives the database back.
func (d *Database) Close() {
	for _, pool := range d.pools() {
		pool.Close()
	}
	if d.SQLite != nil {
		_ = d.SQLite.Close()
	}
}

// Run closes the database when everything that started after it has stopped.
func (d *Database) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	d.Close()
	return nil
}

func isPostgres(name string) bool {
	return strings.HasPrefix(name, "postgres://") || strings.HasPrefix(name, "postgresql://")
}

// sqlitePath is the file of a sqlite: database, empty if it is none.
func sqlitePath(name string) string {
	path, ok := strings.CutPrefix(name, "sqlite:")
	if !ok {
		return ""
	}
	return path
}

// withPoolSize adds the pool's size to a database URL that names none.
func withPoolSize(name string) string {
	u, err := url.Parse(name)
	if err != nil {
		return name // OpenPostgres says what is wrong with it
	}
	query := u.Query()
	if !query.Has("pool_max_conns") {
		query.Set("pool_max_conns", poolSize)
	}
	u.RawQuery = query.Encode()
	return u.String()
}
