package changefeed_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/changefeed"
	"github.com/parley-chat/parley/pkg/changefeed/feedtest"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/databasetest"
	"github.com/parley-chat/parley/pkg/lobby"
)

// kept is a feed in its database.
type kept struct {
	changefeed.Feed

	db database.DB
}

func (k kept) Append(ctx context.Context, at time.Time) (event lobby.Event, _ error) {
	err := k.db.InTx(ctx, func(tx database.Querier) error {
		_, head, err := k.Lock(ctx, tx)
		if err != nil {
			return err
		}
		event = lobby.Event{Seq: head + 1, Kind: lobby.SessionEnded, Tenant: chat.DefaultTenant, At: chat.At(at), Session: "S"}
		statements, err := k.Feed.Append(event)
		if err != nil {
			return err
		}
		return tx.Batch(ctx, statements...)
	})
	return event, err
}

func (k kept) Name(ctx context.Context) (chat.LogID, error) { return k.Feed.Name(ctx, k.db) }

func (k kept) Page(ctx context.Context, after chat.Seq, since time.Time, limit int) (lobby.Page, error) {
	return k.Feed.Page(ctx, k.db, after, since, limit)
}

func (k kept) Prune(ctx context.Context, before time.Time) (int, error) {
	return k.Feed.Prune(ctx, k.db, before)
}

func (k kept) Renew(ctx context.Context, fresh chat.LogID) error {
	return k.Feed.Renew(ctx, k.db, fresh)
}

// split keeps the parts of an event in columns, as a feed may whose events have another form on disk.
type split struct{}

func (split) Columns() []string { return []string{"kind", "session"} }

func (split) Values(e lobby.Event) ([]any, error) { return []any{e.Kind, e.Session}, nil }

func (split) Scan(e *lobby.Event) (columns []any, complete func() error) {
	return []any{&e.Kind, &e.Session}, func() error { return nil }
}

var layouts = map[string]struct {
	tables string
	feed   changefeed.Feed
}{
	"head beside the name": {
		`CREATE TABLE feed_log (tenant text PRIMARY KEY, log text NOT NULL, head bigint NOT NULL);
		CREATE TABLE feed_events (tenant text NOT NULL, seq bigint PRIMARY KEY, at bigint NOT NULL, event text NOT NULL);`,
		changefeed.Feed{Log: "feed_log", HeadInLog: true, Events: "feed_events", Format: changefeed.JSON("event")},
	},
	"head by the newest event": {
		`CREATE TABLE feed_log (tenant text PRIMARY KEY, log text NOT NULL);
		CREATE TABLE feed_events (seq bigint PRIMARY KEY, tenant text NOT NULL, kind text NOT NULL, at bigint NOT NULL, session text NOT NULL);`,
		changefeed.Feed{Log: "feed_log", Events: "feed_events", Format: split{}},
	},
}

func TestFeeds(t *testing.T) {
	for name, layout := range layouts {
		for kind, url := range map[string]func(*testing.T) string{
			"sqlite":   func(t *testing.T) string { t.Helper(); return "sqlite:" + filepath.Join(t.TempDir(), "x.db") },
			"postgres": schema,
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				feedtest.Run(t, func(t *testing.T) feedtest.Feed {
					t.Helper()
					opened, err := database.Open(t.Context(), url(t), nil, slog.New(slog.DiscardHandler))
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(opened.Close)
					db := opened.DB("the database is away")
					for statement := range strings.SplitSeq(strings.TrimSuffix(layout.tables, ";"), ";") {
						if _, err := db.Exec(t.Context(), statement); err != nil {
							t.Fatal(err)
						}
					}
					for range 2 { // the second time it has a name
						if err := layout.feed.Open(t.Context(), db, chat.LogID(rand.Text())); err != nil {
							t.Fatal(err)
						}
					}
					return kept{layout.feed, db}
				})
			})
		}
	}
}

// schema is the URL of an empty schema, which goes with the test.
func schema(t *testing.T) string {
	t.Helper()
	server := *databasetest.Server(t)
	name := "feed_" + strings.ToLower(rand.Text())
	databasetest.Run(t, server.String(), "CREATE SCHEMA "+name)
	t.Cleanup(func() { databasetest.Run(t, databasetest.Server(t).String(), "DROP SCHEMA "+name+" CASCADE") })
	query := server.Query()
	query.Set("search_path", name)
	server.RawQuery = query.Encode()
	return server.String()
}
