// Package access decides who may do what in rooms, and is the only place that does. Decide depends on nothing but its
// arguments; what others derive from it (who an event of the lobby is for, which rooms a list shows) comes from
// the same table.
package access

import (
	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
)

// Rules are what an operator may choose.
type Rules struct {
	UsersCreate bool // people with an account make rooms, not staff alone
	StaffEdit   bool // staff rewrite what others wrote
	StaffDelete bool // staff delete what others wrote
}

// Action is what somebody wants to do in a room.
type Action int

// The actions.
const (
	Know   Action = iota // of the room at all
	Read                 // its messages
	Send                 // a message
	Edit                 // a message
	Delete               // a message
	Manage               // the room: change or delete it
	Create               // a room of these settings, or give a room settings of this kind
)

// Subject is who wants it. User is nil for nobody signed in, who may do what a guest may that acts in nobody's name.
type Subject struct {
	Tenant chat.TenantID
	User   *chat.User
	From   Origin // of no matter to decisions
}

// Origin is where a request of a subject came from, for the audit entries of what it does.
type Origin struct {
	Address string // empty if it is not known
	Request string // id of the request, as in the log; empty for what is none
}

// Act is the audit entry of what the subject did.
func (s Subject) Act(at chat.Time, action audit.Action, room chat.Slug, target string, details map[string]any) audit.Entry {
	origin := audit.Origin{Address: s.From.Address, Request: s.From.Request}
	if s.User != nil {
		origin.Actor = s.User.ID
	}
	entry := origin.Entry(s.Tenant, at.Time, action, target, details)
	entry.Room = room
	return entry
}

func (s Subject) staff() bool { return s.User != nil && s.User.Staff }

func (s Subject) guest() bool { return !s.staff() && (s.User == nil || s.User.Kind == chat.KindGuest) }

// Settings are the settings of a room that decide who may know of it.
type Settings struct{ StaffOnly, AllowGuests, Private bool }

// Check refuses settings that contradict each other.
func (s Settings) Check() error {
	if s.StaffOnly && s.AllowGuests {
		return chat.Errorf(chat.CodeBadRequest, "a room for staff only can't allow guests")
	}
	return nil
}

// Room is what decisions on a room depend on. Two that are equal have the same decisions, memberships included: what
// changes those raises Version.
type Room struct {
	Settings

	Tenant  chat.TenantID
	Owner   chat.UserID
	Deleted bool
	Version int64
}

// Membership is what a user is in a room.
type Membership struct {
	Role string // "" for none
}

// MemberKey names a membership.
type MemberKey struct {
	Room chat.RoomID
	User chat.UserID
}

// Member says whether the user is a member of the room.
func (m Membership) Member() bool { return m.Role != "" }

// Decision says whether an action is allowed.
type Decision struct {
	// Err is nil where it is allowed, and what to tell the subject otherwise.
	Err error
	// OwnOnly says that an allowed Edit or Delete is so for messages that the subject wrote, and for no others.
	OwnOnly bool
	// ForKind says that the decision holds for everybody of the subject's kind: staff, users or guests. Otherwise it
	// holds for this user alone.
	ForKind bool
	// Version is the version of the room's access that it was decided at.
	Version int64
}

// NoRoom is the one answer for a room that does not exist, that was deleted, and that the caller may
// not know of: byte for byte the same.
func NoRoom() error { return chat.Errorf(chat.CodeNotFound, "there is no such room") }

// SignedIn refuses nobody signed in.
func SignedIn(u *chat.User) error {
	if u == nil {
		return chat.Errorf(chat.CodeUnauthenticated, "sign in first")
	}
	return nil
}
