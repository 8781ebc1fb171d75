package database

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Durable is the first statement of each transaction whose commit is acked: whatever the session says
// otherwise, the commit is on disk before it returns. Stricter settings stay. Once for each connection is not
// enough: the default may change while the connection is open, and a pooler may exchange the session behind it.
const Durable = `SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'`

// InTx runs f in a durable transaction of READ COMMITTED, whose statements see what was committed before each.
func InTx(ctx context.Context, pool *pgxpool.Pool, f func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{BeginQuery: "BEGIN ISOLATION LEVEL READ COMMITTED; " + Durable}, f)
}

// Exec runs a statement in a durable transaction of its own, in one round trip.
func Exec(ctx context.Context, pool *pgxpool.Pool, statement string, args ...any) (tag pgconn.CommandTag, err error) {
	batch := &pgx.Batch{}
	batch.Queue(Durable)
	batch.Queue(statement, args...).Exec(func(t pgconn.CommandTag) error { tag = t; return nil })
	return tag, pool.SendBatch(ctx, batch).Close()
}
