// Package changefeed keeps a lobby's log in a database: events with holeless seqs, each written in the transaction of
// the change that it tells of. It holds the SQL and the rules once, for the feeds of all services and for PostgreSQL
// and SQLite; a service brings its tables.
//
// A writer locks the feed (Lock) after all else that its transaction locks or, where it may, before; takes the seqs
// that follow the head; and writes the events (Append). The lock lasts until the commit, so seqs become visible in
// their order, and a reader that has seen the head has seen all up to it.
package changefeed

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/lobby"
)

// Retention is how long an event is kept at least. A follower looks back by an access token's longest lifetime (an
// hour) when it starts, and else continues where it was; one that was away for longer than Retention finds a gap before the
// first event of its page, and starts anew (lobby.Follower.OnRenewed). The rest of the time is for people who look.
const Retention = 7 * 24 * time.Hour

// pruneAtOnce bounds one statement of Prune, so that it holds its locks shortly.
const pruneAtOnce = 1000

// Feed is where a feed is kept. Its tables are those of the service's own migrations.
type Feed struct {
	// Log is the table of the feed's name: a row whose tenant is '*', and columns tenant and log.
	Log string
	// HeadInLog says that table Log has a column head with the highest seq. Otherwise it is that of the newest event,
	// which is never pruned.
	HeadInLog bool
	// Events is the table of events: columns seq, tenant and at (milliseconds since 1970), an index of at, and those of Format.
	Events string
	Format Format
}

// Format is how the parts of an event are stored that are no columns of every feed.
type Format interface {
	// Columns are the columns' names, as in the SQL of a query.
	Columns() []string
	// Values are what the columns hold for an event.
	Values(event lobby.Event) ([]any, error)
	// Scan returns where the columns of a row are read to, and what then completes the event, which has Seq, Tenant and At.
	Scan(event *lobby.Event) (columns []any, complete func() error)
}

// Open names the feed fresh, unless it has a name.
func (f Feed) Open(ctx context.Context, q database.Querier, fresh chat.LogID) error {
	insert := `INSERT INTO ` + f.Log + ` (tenant, log) VALUES ('*', $1) ON CONFLICT DO NOTHING`
	if f.HeadInLog {
		insert = `INSERT INTO ` + f.Log + ` (tenant, log, head) VALUES ('*', $1, 0) ON CONFLICT DO NOTHING`
	}
	if _, err := q.Exec(ctx, insert, fresh); err != nil {
		return fmt.Errorf("name the lobby: %w", err)
	}
	return nil
}

// Name returns the feed's name.
func (f Feed) Name(ctx context.Context, q database.Querier) (name chat.LogID, err error) {
	if err := q.QueryRow(ctx, `SELECT log FROM `+f.Log+` WHERE tenant = '*'`).Scan(&name); err != nil {
		return "", fmt.Errorf("read the lobby's name: %w", err)
	}
	return name, nil
}

// Renew gives the feed another name, after a restore from a backup: nobody then takes a feed that went back in time for the
// one that they knew.
func (f Feed) Renew(ctx context.Context, q database.Querier, fresh chat.LogID) error {
	if _, err := q.Exec(ctx, `UPDATE `+f.Log+` SET log = $1 WHERE tenant = '*'`, fresh); err != nil {
		return fmt.Errorf("renew the lobby's name: %w", err)
	}
	return nil
}

func (f Feed) head() string {
	if f.HeadInLog {
		return `head`
	}
	return `(SELECT coalesce(max(seq), 0) FROM ` + f.Events + `)`
}

// LockQuery is a query that locks the feed until the end of the transaction, and of its name. HeadQuery is the one
// of its head, to be run after it. They are for a transaction that sends its queries together; Lock runs both.
func (f Feed) LockQuery(d database.Dialect) string {
	return `SELECT log FROM ` + f.Log + ` WHERE tenant = '*'` + d.Locking("FOR UPDATE")
}

// HeadQuery is the query of the head. Under the lock it must be a statement of its own: one that waited for the lock
// sees other tables as they were before.
func (f Feed) HeadQuery() string {
	return `SELECT ` + f.head() + ` FROM ` + f.Log + ` WHERE tenant = '*'`
}

// Lock locks the feed until the end of the transaction, and returns its name and head.
func (f Feed) Lock(ctx context.Context, tx database.Querier) (name chat.LogID, head chat.Seq, err error) {
	if f.HeadInLog { // the row that is locked is seen as it is now
		err = tx.QueryRow(ctx, `SELECT log, head FROM `+f.Log+` WHERE tenant = '*'`+tx.Dialect().Locking("FOR UPDATE")).Scan(&name, &head)
	} else if err = tx.QueryRow(ctx, f.LockQuery(tx.Dialect())).Scan(&name); err == nil {
		err = tx.QueryRow(ctx, f.HeadQuery()).Scan(&head)
	}
	if err != nil {
		return "", 0, fmt.Errorf("lock the lobby: %w", err)
	}
	return name, head, nil
}

// Append returns the statements that write events, which follow the head and each other, in a transaction that has
// locked the feed.
func (f Feed) Append(events ...lobby.Event) ([]database.Statement, error) {
	columns := f.Format.Columns()
	numbered := make([]string, len(columns))
	for i := range columns {
		numbered[i] = fmt.Sprintf(", $%d", i+4)
	}
	insert := `INSERT INTO ` + f.Events + ` (seq, tenant, at` + join(columns) + `) VALUES ($1, $2, $3` + strings.Join(numbered, "") + `)`
	statements := make([]database.Statement, 0, len(events)+1)
	for _, event := range events {
		values, err := f.Format.Values(event)
		if err != nil {
			return nil, fmt.Errorf("write an event of the lobby: %w", err)
		}
		statements = append(statements, database.Statement{Text: insert, Args: append([]any{event.Seq, event.Tenant, event.At.UnixMilli()}, values...)})
	}
	if f.HeadInLog && len(events) > 0 {
		statements = append(statements, database.Statement{
			Text: `UPDATE ` + f.Log + ` SET head = $1 WHERE tenant = '*'`, Args: []any{events[len(events)-1].Seq},
		})
	}
	return statements, nil
}

func join(columns []string) string {
	if len(columns) == 0 {
		return ""
	}
	return ", " + strings.Join(columns, ", ")
}

// JSON is the Format of a feed that keeps an event whole, as JSON in the column of that name.
type JSON string

// Columns implements Format.
func (j JSON) Columns() []string { return []string{string(j)} }

// Values implements Format.
func (j JSON) Values(event lobby.Event) ([]any, error) {
	text, err := json.Marshal(event)
	return []any{string(text)}, err
}

// Scan implements Format.
func (j JSON) Scan(event *lobby.Event) (columns []any, complete func() error) {
	text := new(string)
	return []any{text}, func() error { return json.Unmarshal([]byte(*text), event) }
}
