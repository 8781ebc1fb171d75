package database

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Row is a row of either driver. Where there is none, the error of Scan is sql.ErrNoRows.
type Row interface {
	Scan(dest ...any) error
}

// Statement is a statement with the values of its placeholders.
type Statement struct {
	Text string
	Args []any
}

// Querier runs statements on PostgreSQL or SQLite. Placeholders are $1, $2 and so on in both.
//
// PostgreSQL is reached by pgx itself and not by its adapter to database/sql: that has no batches, so that each
// transaction would take a round trip more for Durable, and each batch one more for each of its statements.
type Querier interface {
	// Exec runs a statement and returns how many rows it changed.
	Exec(ctx context.Context, text string, args ...any) (int64, error)
	// QueryRow runs a query of one row. Its error is that of Scan.
	QueryRow(ctx context.Context, text string, args ...any) Row
	// Query calls read for each row. An error of read ends the query and is returned.
	Query(ctx context.Context, read func(Row) error, text string, args ...any) error
	// Batch runs statements in order up to the first that fails, on PostgreSQL in one round trip.
	Batch(ctx context.Context, statements ...Statement) error
	// Dialect is the SQL of the database.
	Dialect() Dialect
}

// DB is a Querier whose calls are each a transaction of its own, on disk when it returns.
type DB interface {
	Querier
	// InTx runs f in a transaction, which commits unless f returns an error: on PostgreSQL of READ COMMITTED, on
	// SQLite with the only write lock from the beginning.
	InTx(ctx context.Context, f func(tx Querier) error) error
}

// DB returns the database to run statements on. The error of a call to a PostgreSQL that can't be reached or used
// has chat.CodeUnavailable and the text unavailable.
func (d *Database) DB(unavailable string) DB {
	if d.SQLite != nil {
		return sqliteDB{OnSQLite(d.SQLite), d.SQLite}
	}
	return postgresDB{d.Postgres, unavailable}
}

// Collect returns what read makes of each row of a query, an empty list for none.
func Collect[T any](ctx context.Context, q Querier, read func(Row) (T, error), text string, args ...any) ([]T, error) {
	list := []T{}
	err := q.Query(ctx, func(row Row) error {
		item, err := read(row)
		list = append(list, item)
		return err
	}, text, args...)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// PgxQuerier is a pgx.Tx, *pgxpool.Conn or *pgxpool.Pool.
type PgxQuerier interface {
	Exec(ctx context.Context, text string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, text string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, text string, args ...any) pgx.Row
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
}

// OnPostgres returns what runs statements on q.
func OnPostgres(q PgxQuerier) Querier { return postgresQuerier{q} }

type postgresQuerier struct{ PgxQuerier }

func (q postgresQuerier) Dialect() Dialect { return Dialect{postgres: true} }

func (q postgresQuerier) Exec(ctx context.Context, text string, args ...any) (int64, error) {
	tag, err := q.PgxQuerier.Exec(ctx, text, args...)
	return tag.RowsAffected(), err
}

func (q postgresQuerier) QueryRow(ctx context.Context, text string, args ...any) Row {
	return q.PgxQuerier.QueryRow(ctx, text, args...)
}

func (q postgresQuerier) Query(ctx context.Context, read func(Row) error, text string, args ...any) error {
	rows, err := q.PgxQuerier.Query(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (q postgresQuerier) Batch(ctx context.Context, statements ...Statement) error {
	batch := &pgx.Batch{}
	Queue(batch, statements...)
	return q.SendBatch(ctx, batch).Close()
}

// Queue adds statements to a batch of pgx, for a caller that runs its transactions by itself.
func Queue(batch *pgx.Batch, statements ...Statement) {
	for _, s := range statements {
		batch.Queue(s.Text, s.Args...)
	}
}

// postgresDB is a DB on a pool.
type postgresDB struct {
	pool        *pgxpool.Pool
	unavailable string
}

func (d postgresDB) Dialect() Dialect { return Dialect{postgres: true} }

func (d postgresDB) Exec(ctx context.Context, text string, args ...any) (int64, error) {
	tag, err := Exec(ctx, d.pool, text, args...)
	return tag.RowsAffected(), d.classify(err)
}

func (d postgresDB) QueryRow(ctx context.Context, text string, args ...any) Row {
	return classifiedRow{d.pool.QueryRow(ctx, text, args...), d}
}

type classifiedRow struct {
	Row

	db postgresDB
}

func (r classifiedRow) Scan(dest ...any) error { return r.db.classify(r.Row.Scan(dest...)) }

func (d postgresDB) Query(ctx context.Context, read func(Row) error, text string, args ...any) error {
	return d.classify(OnPostgres(d.pool).Query(ctx, read, text, args...))
}

func (d postgresDB) Batch(ctx context.Context, statements ...Statement) error {
	return d.classify(OnPostgres(d.pool).Batch(ctx, append([]Statement{{Text: Durable}}, statements...)...))
}

func (d postgresDB) InTx(ctx context.Context, f func(Querier) error) error {
	return d.classify(InTx(ctx, d.pool, func(tx pgx.Tx) error { return f(OnPostgres(tx)) }))
}

// SQLQuerier is a *sql.DB, *sql.Conn or *sql.Tx.
type SQLQuerier interface {
	ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row
}

// OnSQLite returns what runs statements on q.
func OnSQLite(q SQLQuerier) Querier { return sqliteQuerier{q} }

type sqliteQuerier struct{ SQLQuerier }

func (q sqliteQuerier) Dialect() Dialect { return Dialect{} }

func (q sqliteQuerier) Exec(ctx context.Context, text string, args ...any) (int64, error) {
	result, err := q.ExecContext(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (q sqliteQuerier) QueryRow(ctx context.Context, text string, args ...any) Row {
	return q.QueryRowContext(ctx, text, args...)
}

func (q sqliteQuerier) Query(ctx context.Context, read func(Row) error, text string, args ...any) error {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := read(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (q sqliteQuerier) Batch(ctx context.Context, statements ...Statement) error {
	for _, s := range statements {
		if _, err := q.ExecContext(ctx, s.Text, s.Args...); err != nil {
			return err
		}
	}
	return nil
}

// sqliteDB is a DB on a file.
type sqliteDB struct {
	Querier

	db *sql.DB
}

func (d sqliteDB) Batch(ctx context.Context, statements ...Statement) error {
	return d.InTx(ctx, func(tx Querier) error { return tx.Batch(ctx, statements...) })
}

func (d sqliteDB) InTx(ctx context.Context, f func(Querier) error) error {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if err := f(OnSQLite(tx)); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit a transaction: %w", err)
	}
	return nil
}
