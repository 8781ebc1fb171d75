// Package audittest holds what every table of audit entries promises, as tests that each service runs on its own, on every database.
package audittest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
)

// Table is a service's table of entries.
type Table interface {
	// Add adds entries in a transaction of their own.
	Add(ctx context.Context, entries ...audit.Entry) error
	Page(ctx context.Context, f audit.Filter) ([]audit.Entry, error)
	Prune(ctx context.Context, before time.Time) (int, error)
	// Exec runs a statement as the service may. A %s in it is the table's name.
	Exec(ctx context.Context, statement string) error
}

// Run tries every promise on tables that open makes, an empty one each time.
func Run(t *testing.T, open func(t *testing.T) Table) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Table){
		"entries are read as they were written": entriesAreKept,
		"filters and pages":                     filters,
		"entries are never changed":             appendOnly,
		"retention deletes by age":              retention,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

const tenant = chat.DefaultTenant

// at is a time by the tests' own clock, hours after their start.
func at(hours int) time.Time { return time.Date(2026, 11, 20, 12+hours, 0, 0, 0, time.UTC) }

func add(t *testing.T, table Table, entries ...audit.Entry) {
	t.Helper()
	if err := table.Add(t.Context(), entries...); err != nil {
		t.Fatal(err)
	}
}

func page(t *testing.T, table Table, f audit.Filter) []audit.Entry {
	t.Helper()
	f.Tenant = tenant
	if f.Limit == 0 {
		f.Limit = 100
	}
	list, err := table.Page(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func targets(list []audit.Entry) (text string) {
	for _, e := range list {
		text += e.Target
	}
	return text
}

func entry(hour int, actor chat.UserID, action audit.Action, room chat.Slug, target string) audit.Entry {
	e := audit.Origin{Actor: actor, Address: "2001:db8::1", Request: "R"}.Entry(tenant, at(hour), action, target, nil)
	e.Room = room
	return e
}

func entriesAreKept(t *testing.T, table Table) {
	t.Helper()
	want := entry(1, "ADA", audit.StaffGranted, "hall", "BOB")
	want.Details = map[string]any{"staff": true, "reason": `"quoted" and ü`}
	bare := audit.Entry{Tenant: tenant, At: at(2), Action: audit.AccountErased}
	add(t, table, want, bare)
	got := page(t, table, audit.Filter{})
	if len(got) != 2 || got[0].ID <= got[1].ID || got[1].ID < 1 {
		t.Fatalf("%+v", got)
	}
	want.ID, bare.ID = got[1].ID, got[0].ID
	if !reflect.DeepEqual(got, []audit.Entry{bare, want}) {
		t.Errorf("%+v, want %+v and %+v", got, bare, want)
	}
}

func filters(t *testing.T, table Table) {
	t.Helper()
	add(t, table, entry(1, "ADA", audit.SignedIn, "", "a"), entry(2, "ADA", audit.SessionEnded, "", "b"))
	add(t, table, entry(3, "BOB", audit.SignedIn, "hall", "c"), entry(4, "ADA", audit.SignedIn, "hall", "d"))
	other := entry(5, "ADA", audit.SignedIn, "hall", "e")
	other.Tenant = "another"
	add(t, table, other)
	third := page(t, table, audit.Filter{Limit: 2})[1]
	for _, c := range []struct {
		f    audit.Filter
		want string
	}{
		{audit.Filter{}, "dcba"},
		{audit.Filter{Limit: 2}, "dc"},
		{audit.Filter{Below: third.ID}, "ba"},
		{audit.Filter{Below: third.ID, Limit: 1}, "b"},
		{audit.Filter{Actor: "ADA"}, "dba"},
		{audit.Filter{Action: audit.SignedIn}, "dca"},
		{audit.Filter{Room: "hall"}, "dc"},
		{audit.Filter{After: at(2)}, "dcb"},
		{audit.Filter{Before: at(3)}, "ba"},
		{audit.Filter{Actor: "ADA", Action: audit.SignedIn, Room: "hall", After: at(4), Before: at(5)}, "d"},
		{audit.Filter{Actor: "EVE"}, ""},
	} {
		if got := page(t, table, c.f); targets(got) != c.want {
			t.Errorf("%+v: %q, want %q", c.f, targets(got), c.want)
		}
	}
}

func appendOnly(t *testing.T, table Table) {
	t.Helper()
	add(t, table, entry(1, "ADA", audit.SignedIn, "", "a"), entry(9, "ADA", audit.SignedIn, "", "b"))
	if _, err := table.Prune(t.Context(), at(0)); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`UPDATE %s SET actor = 'BOB'`, `UPDATE %s SET at = 0`, `DELETE FROM %s`, `DELETE FROM %s WHERE target = 'a'`,
	} {
		if err := table.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s is not refused", statement)
		}
	}
	if got := page(t, table, audit.Filter{}); targets(got) != "ba" || got[0].Actor != "ADA" {
		t.Errorf("%+v", got)
	}
}

func retention(t *testing.T, table Table) {
	t.Helper()
	const old = 1010 // more than one call deletes
	entries := slices.Repeat([]audit.Entry{entry(1, "ADA", audit.SignedIn, "", "a")}, old)
	add(t, table, append(entries, entry(2, "ADA", audit.SignedIn, "", "b"), entry(0, "ADA", audit.SignedIn, "", "c"), entry(3, "ADA", audit.SignedIn, "", "d"))...)
	counts := []int{}
	for n := -1; n != 0; {
		var err error
		if n, err = table.Prune(t.Context(), at(2)); err != nil {
			t.Fatal(err)
		}
		counts = append(counts, n)
	}
	if fmt.Sprint(counts) != "[1000 11 0]" {
		t.Error(counts)
	}
	if got := page(t, table, audit.Filter{}); targets(got) != "db" {
		t.Errorf("%+v", got)
	}
	if err := table.Exec(t.Context(), `DELETE FROM %s`); err == nil {
		t.Error("what retention leaves can be deleted")
	}
	if n, err := table.Prune(t.Context(), at(1)); n != 0 || err != nil { // a pod with a slow clock
		t.Error(n, err)
	}
}
