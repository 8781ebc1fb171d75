package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/changefeed/feedtest"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
)

// feed is the lobby of a store. Its events are ends of sessions.
type feed struct {
	Store

	started chan int // how many sessions were started, between two calls
}

// runLobby tries what every change feed promises.
func runLobby(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	feedtest.Run(t, func(t *testing.T) feedtest.Feed {
		t.Helper()
		f := feed{open(t), make(chan int, 1)}
		f.started <- 0
		return f
	})
}

// Append implements feedtest.Feed.
func (f feed) Append(ctx context.Context, at time.Time) (lobby.Event, error) {
	n := <-f.started + 1
	f.started <- n
	sess := aSession(fmt.Sprint("S", n), guest("Ada"), 0)
	if err := f.CreateSession(ctx, sess, firstOf(sess)); err != nil {
		return lobby.Event{}, err
	}
	events, _, err := f.EndSession(ctx, tenant, sess.ID, at, audit.Entry{})
	if err != nil {
		return lobby.Event{}, err
	}
	return events[0], nil
}

// Name implements feedtest.Feed.
func (f feed) Name(ctx context.Context) (chat.LogID, error) { return f.LobbyLog(ctx) }

// Page implements feedtest.Feed.
func (f feed) Page(ctx context.Context, after chat.Seq, since time.Time, limit int) (lobby.Page, error) {
	return f.LobbyPage(ctx, after, since, limit)
}

// Prune implements feedtest.Feed.
func (f feed) Prune(ctx context.Context, before time.Time) (int, error) {
	return f.PruneLobby(ctx, before)
}

// Renew implements feedtest.Feed.
func (f feed) Renew(ctx context.Context, fresh chat.LogID) error { return f.RenewLobby(ctx, fresh) }
