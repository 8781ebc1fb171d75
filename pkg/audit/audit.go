// Package audit names what is remembered of an act that somebody may have to answer for: who did what, to whom, when and
// from where. A service writes an entry in the transaction of the act, so that there is no act without its entry
// and no entry without its act; the log line comes from the entry.
package audit

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
)

// Retention is how long an entry is kept.
const Retention = 365 * 24 * time.Hour

// Action is what was done. The list is closed: readers may rely on it.
type Action string

// The actions of auth. Guests leave no entries, nor do attempts that were refused: anybody could fill the table with
// them. Metrics count them.
const (
	AccountCreated  Action = "account_created"
	AccountErased   Action = "account_erased"
	AccountDisabled Action = "account_disabled"
	AccountEnabled  Action = "account_enabled"
	StaffGranted    Action = "staff_granted"
	StaffRevoked    Action = "staff_revoked"
	PasswordChanged Action = "password_changed" // by its owner
	PasswordReset   Action = "password_reset"   // by staff
	SignedIn        Action = "signed_in"
	SessionEnded    Action = "session_ended" // by its user, or as a stolen one; not by age
)

// The actions of rooms.
const (
	RoomCreated    Action = "room_created"
	RoomChanged    Action = "room_changed"
	RoomDeleted    Action = "room_deleted"
	MessageEdited  Action = "message_edited"  // of somebody else
	MessageDeleted Action = "message_deleted" // of somebody else
)

// Actions returns all actions, in the order of the documents.
func Actions() []Action {
	return []Action{
		AccountCreated, AccountErased, AccountDisabled, AccountEnabled, StaffGranted, StaffRevoked, PasswordChanged, PasswordReset,
		SignedIn, SessionEnded,
		RoomCreated, RoomChanged, RoomDeleted, MessageEdited, MessageDeleted,
	}
}

// Entry is one act.
type Entry struct {
	ID      int64 // rises; given by the table
	Tenant  chat.TenantID
	At      time.Time
	Actor   chat.UserID // empty for an operator, who acts by a command or by the configuration
	Action  Action
	Room    chat.Slug // empty where the act is on no room
	Target  string    // id of whom or what was acted on
	Address string    // of the caller, empty if it is not known
	Request string    // id of the request, as in the log; empty for what is none
	// Details say more, by names of the action's own: numbers, booleans and short texts; never what somebody wrote,
	// a password or a token.
	Details map[string]any
}

// Origin is who acts, and from where.
type Origin struct {
	Actor   chat.UserID // empty: see Entry
	Address string
	Request string
}

// Entry returns an entry of an act of o.
func (o Origin) Entry(tenant chat.TenantID, at time.Time, action Action, target string, details map[string]any) Entry {
	return Entry{
		Tenant: tenant, At: at, Actor: o.Actor, Action: action, Target: target, Address: o.Address, Request: o.Request, Details: details,
	}
}

// As returns o with that actor.
func (o Origin) As(actor chat.UserID) Origin {
	o.Actor = actor
	return o
}

// Log writes the log lines of entries whose transaction has committed.
func Log(ctx context.Context, log *slog.Logger, entries ...Entry) {
	for _, e := range entries {
		attrs := []slog.Attr{
			slog.String("action", string(e.Action)), slog.String("actor", string(e.Actor)), slog.String("target", e.Target),
		}
		if e.Room != "" {
			attrs = append(attrs, slog.String("room", string(e.Room)))
		}
		if e.Address != "" {
			attrs = append(attrs, slog.String("address", e.Address))
		}
		for _, name := range slices.Sorted(maps.Keys(e.Details)) {
			attrs = append(attrs, slog.Any(name, e.Details[name]))
		}
		log.LogAttrs(ctx, slog.LevelInfo, "audit entry written", attrs...)
	}
}

// Filter chooses entries. What is empty chooses all.
type Filter struct {
	Tenant chat.TenantID // must be given
	Actor  chat.UserID
	Action Action
	Room   chat.Slug
	After  time.Time // not older than that
	Before time.Time // older than that
	Below  int64     // with an ID below that: the next page after one whose last entry has it
	Limit  int
}
