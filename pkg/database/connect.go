package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-chat/parley/pkg/trace"
)

// prepareSession sets a session up and asks what it is. A process that freezes in a transaction, or whose node
// is lost, must not keep what it has locked.
const prepareSession = `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean, pg_backend_pid(),
	set_config('idle_in_transaction_session_timeout', '5s', false),
	CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END, `

// The settings of the planner. Statements of a message's way, and of a login's, find their rows by an index, whatever
// the values. So one plan does for all, made as if tables were large, and is not made anew each time, which took
// PostgreSQL as long as the rest of a message. A plan made while a table was small would otherwise read all of it ever after.
// What lists and searches is planned by its values, with the server's own settings; they are set as well, since a
// connection pooler may give us a session that was another pool's.
const (
	onePlan = `set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false)`
	ownPlan = `(SELECT count(set_config(name, reset_val, false)) FROM pg_settings WHERE name IN ('plan_cache_mode', 'enable_seqscan', 'jit'))`
)

var (
	errReadOnly    = errors.New("the server takes no writes: it is a standby, or default_transaction_read_only is on")
	errNotPostgres = errors.New("the server answers in another shape than PostgreSQL")
	// The advice for a password that was pasted into a URL.
	errMalformed      = errors.New("the database URL is malformed: percent-encode the characters : / ? # [ ] @ % of its user and password, or leave the password out and give it as PGPASSWORD")
	errSharedSessions = errors.New("there is a connection pooler (PgBouncer or the like) that gives each transaction another session: set pool_mode=session in it, or name PostgreSQL itself in the URL")
)

// backendPID is the key under which a connection keeps the process number of its session.
const backendPID = "parley backend"

// parse reads a URL. Its errors never repeat what stands in it, which may be a password.
func parse(rawURL string) (*pgxpool.Config, error) {
	u, err := url.Parse(rawURL)
	beforeQuery, _, _ := strings.Cut(rawURL, "?")
	if err != nil || u.User == nil && strings.Contains(beforeQuery, "@") || u.Fragment != "" {
		return nil, errMalformed
	}
	config, err := pgxpool.ParseConfig(rawURL)
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil && strings.Contains(err.Error(), "TLS") {
			return nil, fmt.Errorf("the database URL: TLS: %w", cause)
		}
		return nil, errMalformed
	}
	// Of several hosts, the primary alone is of use. A connection is given up by the pool that closes it.
	config.ConnConfig.ValidateConnect = prepare(onePlan)
	return config, nil
}

// OpenPostgres connects to the database of rawURL, waiting up to a minute for it to come up: services
// start in any order.
func OpenPostgres(ctx context.Context, rawURL string) (*pgxpool.Pool, error) {
	return open(ctx, rawURL, nil, slog.New(slog.DiscardHandler))
}

func open(ctx context.Context, rawURL string, tracer *trace.Tracer, log *slog.Logger) (*pgxpool.Pool, error) {
	config, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	if err = reachable(ctx, config, log); err != nil {
		return nil, err
	}
	return newPool(ctx, config, tracer)
}

func reachable(ctx context.Context, config *pgxpool.Config, log *slog.Logger) error {
	if err := waitReachable(ctx, config.ConnConfig, log); err != nil {
		return fmt.Errorf("reach PostgreSQL: %w", err)
	}
	return nil
}

func newPool(ctx context.Context, config *pgxpool.Config, tracer *trace.Tracer) (*pgxpool.Pool, error) {
	if tracer != nil {
		config.ConnConfig.Tracer = &statements{tracer}
	}
	var pool atomic.Pointer[pgxpool.Pool]
	config.ConnConfig.OnPgError = func(_ *pgconn.PgConn, refused *pgconn.PgError) bool {
		if p := pool.Load(); p != nil && refused.Code == readOnly {
			p.Reset() // the others were led to the same server
		}
		return !unusable(refused)
	}
	p, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL: %w", err)
	}
	pool.Store(p)
	if err := p.Ping(ctx); err != nil {
		p.Close()
		return nil, fmt.Errorf("reach PostgreSQL: %w", err)
	}
	return p, nil
}

// prepare sets new connections up, and refuses those to a server that takes no writes.
func prepare(planner string) func(context.Context, *pgconn.PgConn) error {
	return func(ctx context.Context, conn *pgconn.PgConn) error { return prepareAs(ctx, conn, planner) }
}

func prepareAs(ctx context.Context, conn *pgconn.PgConn, planner string) error {
	results, err := conn.Exec(ctx, prepareSession+planner).ReadAll()
	if err != nil {
		return fmt.Errorf("set a connection up: %w", err)
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) < 2 {
		return errNotPostgres
	}
	row := results[0].Rows[0]
	if string(row[0]) != "f" {
		return errReadOnly
	}
	conn.CustomData()[backendPID] = string(row[1])
	return nil
}

// readOnly is what a server answers to a write that became a standby, or was told to take none.
const readOnly = "25006"

// unusable says whether an error of the server means that its connection will fail again. All others leave
// the connection to be used on.
func unusable(err *pgconn.PgError) bool {
	if err.Severity == "FATAL" || err.Severity == "PANIC" || err.SeverityUnlocalized == "FATAL" || err.SeverityUnlocalized == "PANIC" {
		return true
	}
	switch err.Code {
	case readOnly,
		"26000", "42P05", // a prepared statement is missing, or there already: the session is not the one that we prepared
		"57P01", "57P02", "57P03", "57P05": // the server stops, has crashed, starts, or gave the session up
		return true
	}
	return strings.HasPrefix(err.Code, "08") // the connection is broken
}

// How waitReachable waits.
const (
	reachTimeout   = time.Minute
	connectTimeout = 5 * time.Second
	retryEvery     = 500 * time.Millisecond
	logEvery       = 5 * time.Second
)

// waitReachable waits until there is a server that can be used. It logs at once why there is none, and again when
// that changes: waiting may mend it, even a wrong password, which may be about to be rotated.
func waitReachable(ctx context.Context, config *pgx.ConnConfig, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	ticker := time.NewTicker(retryEvery)
	defer ticker.Stop()
	var lastError error
	var logged time.Time
	for {
		err := connectOnce(ctx, config)
		if err == nil {
			if lastError != nil {
				log.InfoContext(ctx, "PostgreSQL is reachable")
			}
			return nil
		}
		if errors.Is(err, errSharedSessions) {
			return err
		}
		// That the time was up says less than what was wrong before.
		if lastError == nil || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			changed := lastError == nil || lastError.Error() != err.Error()
			lastError = err
			if changed && time.Since(logged) >= logEvery {
				logged = time.Now()
				log.WarnContext(ctx, "PostgreSQL is not reachable yet", slog.String("error", oneLine(err)))
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return lastError
		}
	}
}

// oneLine is an error's text; pgx takes a line for each address.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// connectOnce connects once.
func connectOnce(ctx context.Context, config *pgx.ConnConfig) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if !behindPooler(conn.PgConn()) {
		return nil
	}
	shares, err := sharesSessions(ctx, config, conn)
	if err != nil {
		return fmt.Errorf("try the connection pooler: %w", err)
	}
	if shares {
		return errSharedSessions
	}
	return nil
}

// behindPooler says whether a pooler stands between: it makes up the process number with which a client cancels,
// and the session has another.
func behindPooler(conn *pgconn.PgConn) bool {
	return conn.CustomData()[backendPID] != fmt.Sprint(conn.PID())
}

// sharesSessions tells whether a pooler gives a connection another session with each transaction. While
// another connection is in a transaction, ours then can't have the session that it has.
func sharesSessions(ctx context.Context, config *pgx.ConnConfig, ours *pgx.Conn) (bool, error) {
	other, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return false, err
	}
	defer func() { _ = other.Close(ctx) }()
	const tries = 20 // others may be taking sessions meanwhile, so that one try proves little
	for range tries {
		before, err := session(ctx, ours)
		if err != nil {
			return false, err
		}
		if _, err = other.Exec(ctx, "BEGIN"); err != nil {
			if _, refused := errors.AsType[*pgconn.PgError](err); refused { // as a pooler of single statements does
				return true, nil
			}
			return false, err
		}
		theirs, err := session(ctx, other)
		if err != nil {
			return false, err
		}
		after, err := session(ctx, ours)
		if err != nil || before == theirs || before != after {
			return err == nil, err
		}
		if _, err = other.Exec(ctx, "ROLLBACK"); err != nil {
			return false, err
		}
	}
	return false, nil
}

// session is the process number of the session that answers.
func session(ctx context.Context, conn *pgx.Conn) (pid string, err error) {
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()::text", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return pid, err
}
