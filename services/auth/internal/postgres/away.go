package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
)

// guarded is the pool, with failures to reach the server told as such.
type guarded struct{ pool *pgxpool.Pool }

// Exec is the pool's, for a statement whose commit is acked.
func (d guarded) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	tag, err := database.Exec(ctx, d.pool, sql, args...)
	return tag, away(err)
}

// QueryRow is the pool's.
func (d guarded) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return row{d.pool.QueryRow(ctx, sql, args...)}
}

type row struct{ pgx.Row }

// Scan is the row's.
func (r row) Scan(dest ...any) error { return away(r.Row.Scan(dest...)) }

// inTx runs f in a transaction of READ COMMITTED, whose statements see what was committed before each.
func (d guarded) inTx(ctx context.Context, f func(tx pgx.Tx) error) error {
	return away(database.InTx(ctx, d.pool, f))
}

// collect runs a query and reads all of its rows.
func collect[T any](ctx context.Context, d guarded, read func(pgx.CollectableRow) (T, error), sql string, args ...any) ([]T, error) {
	rows, err := d.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, away(err)
	}
	list, err := pgx.CollectRows(rows, read)
	return list, away(err)
}

// away adds chat.CodeUnavailable to an error that says that the server could not be reached, was
// shutting down, a standby, out of resources, or broke a deadlock by our transaction; others stay as they are.
func away(err error) error {
	if err == nil {
		return nil
	}
	if _, told := errors.AsType[*chat.Error](err); told {
		return err
	}
	var unreachable bool
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code[:2] {
		case "08", "40", "53", "57":
			unreachable = true
		}
		const readOnly = "25006" // the server became a standby
		unreachable = unreachable || e.Code == readOnly
	} else {
		_, connecting := errors.AsType[*pgconn.ConnectError](err)
		_, network := errors.AsType[net.Error](err)
		unreachable = connecting || network || pgconn.SafeToRetry(err) || errors.Is(err, context.DeadlineExceeded) ||
			errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	}
	if !unreachable {
		return err
	}
	return fmt.Errorf("%w: %w", chat.Errorf(chat.CodeUnavailable, "accounts can't be reached just now"), err)
}
