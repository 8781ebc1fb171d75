package storetest

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/audit/audittest"
	"github.com/parley-chat/parley/pkg/changefeed"
	"github.com/parley-chat/parley/pkg/changefeed/feedtest"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/rooms/internal/access"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/room"
	"github.com/parley-chat/parley/services/rooms/internal/sqlstore"
)

// RunTables runs the contracts of the lobby's feed and of the table of audit entries.
func RunTables(t *testing.T, fresh func(t *testing.T) Backend) {
	t.Helper()
	t.Run("Feed", func(t *testing.T) {
		t.Parallel()
		feedtest.Run(t, func(t *testing.T) feedtest.Feed {
			t.Helper()
			s := fresh(t).Open(t)
			return feed{sqlstore.Feed, s.DB, s.Log}
		})
	})
	t.Run("AuditTable", func(t *testing.T) {
		t.Parallel()
		audittest.Run(t, func(t *testing.T) audittest.Table {
			t.Helper()
			s := fresh(t).Open(t)
			return auditTable{s.Rest, s.DB}
		})
	})
}

// feed is the rooms' lobby, to which the logs' transactions write.
type feed struct {
	changefeed.Feed

	db   database.DB
	logs message.Store
}

func (f feed) Append(ctx context.Context, at time.Time) (event lobby.Event, _ error) {
	err := f.logs.Commit(ctx, message.Need{Lobby: true}, func(have message.Have) (message.Changes, error) {
		event = message.Event(lobby.RoomCreated, have.LobbyHead+1, chat.At(at), message.Room{ID: 7, Tenant: tenant}, nil, nil, nil)
		return message.Changes{Lobby: []lobby.Event{event}}, nil
	})
	return event, err
}

func (f feed) Name(ctx context.Context) (chat.LogID, error) { return f.Feed.Name(ctx, f.db) }

func (f feed) Page(ctx context.Context, after chat.Seq, since time.Time, limit int) (lobby.Page, error) {
	return f.Feed.Page(ctx, f.db, after, since, limit)
}

func (f feed) Prune(ctx context.Context, before time.Time) (int, error) {
	return f.Feed.Prune(ctx, f.db, before)
}

func (f feed) Renew(ctx context.Context, fresh chat.LogID) error {
	return f.Feed.Renew(ctx, f.db, fresh)
}

type auditTable struct {
	store *sqlstore.Store
	db    database.DB
}

func (a auditTable) Add(ctx context.Context, entries ...audit.Entry) error {
	insert, err := sqlstore.Audit.Insert(entries...)
	if err != nil {
		return err
	}
	return a.db.Batch(ctx, insert...)
}

func (a auditTable) Page(ctx context.Context, f audit.Filter) ([]audit.Entry, error) {
	return a.store.AuditPage(ctx, f)
}

func (a auditTable) Prune(ctx context.Context, before time.Time) (int, error) {
	return a.store.PruneAudit(ctx, before)
}

func (a auditTable) Exec(ctx context.Context, statement string) error {
	_, err := a.db.Exec(ctx, fmt.Sprintf(statement, sqlstore.Audit))
	return err
}

// testAudit holds that acts on rooms, and on messages of others, have their entries, and nothing else has.
func testAudit(t *testing.T, b Backend) {
	p, ctx := newPod(t, b.Open(t)), t.Context()
	r, name, no := p.room(t, "one"), "Uno", false
	from := access.Origin{Address: "192.0.2.1", Request: "R"}
	by := as(staff)
	by.From = from
	_, err := p.Update(ctx, by, "one", room.Patch{Name: &name, AllowGuests: &no})
	code(t, err, "")
	_, err = p.Update(ctx, by, "one", room.Patch{Name: &name}) // changes nothing
	code(t, err, "")
	_, err = p.Update(ctx, as(bob), "one", room.Patch{Name: &name}) // may not
	code(t, err, chat.CodeForbidden)
	removal := withNonce(remove(staff, r.ID, 2), "d")
	removal.From = from
	p.want(t, "[2 3 4 5 5 6]", send(ada, r.ID, "1", "hi"), send(ada, r.ID, "2", "ho"), edit(ada, r.ID, 2, "hu"), removal, removal, remove(ada, r.ID, 3))
	_ = p.Delete(ctx, as(ada), "one")
	entries, err := p.rest.AuditPage(ctx, audit.Filter{Tenant: tenant, Limit: 100})
	code(t, err, "")
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprintf("%s %s %s %q %s %s %v", e.Actor, e.Action, e.Room, e.Target, e.Address, e.Request, e.Details))
		if time.Since(e.At).Abs() > time.Minute {
			t.Error(e.At)
		}
	}
	want := []string{
		`u-ada room_deleted one ""   map[]`,
		`u-sue message_deleted one "2" 192.0.2.1 R map[author:u-ada]`,
		`u-sue room_changed one "" 192.0.2.1 R map[allow_guests:false name:true]`,
		`u-ada room_created one ""   map[]`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}
