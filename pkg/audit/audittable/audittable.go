// Package audittable keeps audit entries in PostgreSQL or SQLite.
//
// A service's migrations make two tables, as those of auth do: Table with the columns of an entry, and Table_retention
// with one row (tenant '*') that says of before what time entries may be deleted. Triggers refuse every other DELETE and
// every UPDATE, on both databases. On PostgreSQL too: the role that runs the migrations owns the table, and an owner has
// all rights, so that taking some away would be no obstacle. Whoever may drop triggers can falsify the table; a copy
// of the log lines elsewhere shows it.
package audittable

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/database"
)

// pruneAtOnce bounds one call of Prune, so that it holds its locks shortly.
const pruneAtOnce = 1000

// Table is the name of a table of entries.
type Table string

const columns = `tenant, at, actor, action, room, target, address, request, details`

// Insert returns the statements that add entries, for the transaction of their acts.
func (t Table) Insert(entries ...audit.Entry) ([]database.Statement, error) {
	statements := make([]database.Statement, 0, len(entries))
	for _, e := range entries {
		details := []byte("{}")
		if len(e.Details) > 0 {
			var err error
			if details, err = json.Marshal(e.Details); err != nil {
				return nil, fmt.Errorf("write an audit entry: %w", err)
			}
		}
		statements = append(statements, database.Statement{
			Text: `INSERT INTO ` + string(t) + ` (` + columns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			Args: []any{e.Tenant, e.At.UnixMilli(), e.Actor, e.Action, e.Room, e.Target, e.Address, e.Request, string(details)},
		})
	}
	return statements, nil
}

// Page returns the entries that f chooses, newest first, f.Limit at most.
func (t Table) Page(ctx context.Context, q database.Querier, f audit.Filter) ([]audit.Entry, error) {
	where, args := []string{"tenant = $1"}, []any{f.Tenant}
	add := func(condition string, chosen bool, value any) {
		if chosen {
			args = append(args, value)
			where = append(where, fmt.Sprintf("%s $%d", condition, len(args)))
		}
	}
	add("actor =", f.Actor != "", f.Actor)
	add("action =", f.Action != "", f.Action)
	add("room =", f.Room != "", f.Room)
	add("at >=", !f.After.IsZero(), f.After.UnixMilli())
	add("at <", !f.Before.IsZero(), f.Before.UnixMilli())
	add("id <", f.Below > 0, f.Below)
	args = append(args, f.Limit)
	entries, err := database.Collect(ctx, q, scan, fmt.Sprintf(`SELECT id, %s FROM %s WHERE %s ORDER BY id DESC LIMIT $%d`,
		columns, string(t), strings.Join(where, " AND "), len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("read audit entries: %w", err)
	}
	return entries, nil
}

func scan(row database.Row) (e audit.Entry, err error) {
	var at int64
	var details []byte
	if err := row.Scan(&e.ID, &e.Tenant, &at, &e.Actor, &e.Action, &e.Room, &e.Target, &e.Address, &e.Request, &details); err != nil {
		return e, fmt.Errorf("an audit entry: %w", err)
	}
	e.At = time.UnixMilli(at).UTC()
	if string(details) == "{}" {
		return e, nil
	}
	if err := json.Unmarshal(details, &e.Details); err != nil {
		return e, fmt.Errorf("details of audit entry %d: %w", e.ID, err)
	}
	return e, nil
}

// Prune deletes entries of before a moment, a bounded number, and returns how many: 0 when there are none left. It is
// the only way to delete entries.
func (t Table) Prune(ctx context.Context, db database.DB, before time.Time) (deleted int, _ error) {
	err := db.InTx(ctx, func(tx database.Querier) error {
		if _, err := tx.Exec(ctx, `UPDATE `+string(t)+`_retention SET before = $1 WHERE tenant = '*' AND before < $1`, before.UnixMilli()); err != nil {
			return fmt.Errorf("allow to delete audit entries: %w", err)
		}
		n, err := tx.Exec(ctx, `DELETE FROM `+string(t)+` WHERE id IN (SELECT id FROM `+string(t)+` WHERE at < $1 ORDER BY at LIMIT $2)`, before.UnixMilli(), pruneAtOnce)
		if err != nil {
			return fmt.Errorf("delete audit entries: %w", err)
		}
		deleted = int(n)
		return nil
	})
	return deleted, err
}
