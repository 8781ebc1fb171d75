package changefeed

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/lobby"
)

// Page returns the events after a seq, oldest first, limit at most, with the feed's name and head. If since is not
// zero, it starts at the first event of that time or later, and goes on from there without a hole: the clocks of pods
// may differ, so that some of its events are older.
func (f Feed) Page(ctx context.Context, q database.Querier, after chat.Seq, since time.Time, limit int) (lobby.Page, error) {
	page := lobby.Page{Events: []lobby.Event{}}
	// The head is read first: all up to it is committed.
	if err := q.QueryRow(ctx, `SELECT log, `+f.head()+` FROM `+f.Log+` WHERE tenant = '*'`).Scan(&page.Log, &page.Head); err != nil {
		return lobby.Page{}, fmt.Errorf("read the lobby's head: %w", err)
	}
	if limit == 0 || after >= page.Head {
		return page, nil
	}
	if !since.IsZero() {
		first, err := f.firstSince(ctx, q, since, page.Head+1)
		if err != nil {
			return lobby.Page{}, err
		}
		after = max(after, first-1)
	}
	events, err := database.Collect(ctx, q, f.parse, `SELECT seq, tenant, at`+join(f.Format.Columns())+` FROM `+f.Events+
		` WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3`, after, page.Head, limit)
	if err != nil {
		return lobby.Page{}, fmt.Errorf("read the lobby: %w", err)
	}
	page.Events = events
	return page, nil
}

// firstSince is the lowest seq of an event of that time or later, otherwise if there is none.
func (f Feed) firstSince(ctx context.Context, q database.Querier, since time.Time, otherwise chat.Seq) (first chat.Seq, err error) {
	if err := q.QueryRow(ctx, `SELECT coalesce(min(seq), $2) FROM `+f.Events+` WHERE at >= $1`, since.UnixMilli(), otherwise).Scan(&first); err != nil {
		return 0, fmt.Errorf("look for the lobby's first event of a time: %w", err)
	}
	return first, nil
}

func (f Feed) parse(row database.Row) (lobby.Event, error) {
	var event lobby.Event
	var at int64
	columns, complete := f.Format.Scan(&event)
	if err := row.Scan(append([]any{&event.Seq, &event.Tenant, &at}, columns...)...); err != nil {
		return event, fmt.Errorf("an event: %w", err)
	}
	event.At = chat.At(time.UnixMilli(at))
	if err := complete(); err != nil {
		return event, fmt.Errorf("event %d: %w", event.Seq, err)
	}
	return event, nil
}

// Prune deletes the events of before a moment, the oldest first and a bounded number each time, and returns how many: 0
// when there are none left. It goes by seq, so that what is left has no hole, and leaves the newest event always.
// Anybody may prune at any time, beside writers and other pods that prune.
func (f Feed) Prune(ctx context.Context, q database.Querier, before time.Time) (int, error) {
	var oldest, newest chat.Seq
	if err := q.QueryRow(ctx, `SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM `+f.Events).Scan(&oldest, &newest); err != nil {
		return 0, fmt.Errorf("look for the lobby's oldest event: %w", err)
	}
	keep, err := f.firstSince(ctx, q, before, newest)
	if err != nil {
		return 0, err
	}
	keep = min(keep, oldest+pruneAtOnce)
	if keep <= oldest {
		return 0, nil
	}
	n, err := q.Exec(ctx, `DELETE FROM `+f.Events+` WHERE seq < $1`, keep)
	if err != nil {
		return 0, fmt.Errorf("prune the lobby: %w", err)
	}
	return int(n), nil
}
