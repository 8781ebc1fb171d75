package database

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/parley-chat/parley/pkg/chat"
)

// Dialect is what differs between the SQL of PostgreSQL and that of SQLite, where one store serves both.
type Dialect struct{ postgres bool }

// Postgres says whether it is PostgreSQL's.
func (d Dialect) Postgres() bool { return d.postgres }

// Locking is a clause that locks rows, as FOR UPDATE, and nothing on SQLite: there a transaction has the only write lock.
func (d Dialect) Locking(clause string) string {
	if d.postgres {
		return " " + clause
	}
	return ""
}

// Position is the function of a text and a part of it that is above 0 if the text contains the part.
func (d Dialect) Position() string {
	if d.postgres {
		return "strpos"
	}
	return "instr"
}

// IsDuplicate says whether err is that of a unique constraint.
func IsDuplicate(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		const uniqueViolation = "23505"
		return e.Code == uniqueViolation
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// classify adds chat.CodeUnavailable to an error that says that PostgreSQL can't be used just now. Others, and those
// that have a code, stay as they are.
func (d postgresDB) classify(err error) error {
	if err == nil {
		return nil
	}
	if _, coded := errors.AsType[*chat.Error](err); coded || !unavailable(err) {
		return err
	}
	return fmt.Errorf("%w: %w", chat.Errorf(chat.CodeUnavailable, "%s", d.unavailable), err)
}

// unavailable says whether the server could not be reached, was shutting down, a standby, out of resources, or broke a
// deadlock by our transaction.
func unavailable(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code[:2] {
		case "08", "40", "53", "57":
			return true
		}
		return e.Code == readOnly
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	return connecting || network || pgconn.SafeToRetry(err) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
