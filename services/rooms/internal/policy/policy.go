// Package policy says who may do what in rooms. It is the only place that does: the directory, the
// ledger and the listeners ask here.
package policy

import (
	"github.com/parley-chat/parley/pkg/chat"
)

// Rules are what an operator may choose.
type Rules struct {
	UsersCreate bool // people with an account make rooms, not staff alone
	StaffEdit   bool // staff rewrite what others wrote
	StaffDelete bool // staff delete what others wrote
}

// NoRoom is the one answer for a room that does not exist, that was deleted, and that the caller may
// not know of: byte for byte the same.
func NoRoom() error { return chat.Errorf(chat.CodeNotFound, "there is no such room") }

// Know refuses, with NoRoom, whoever may not know of the room; u is nil for nobody signed in.
func Know(room chat.Room, u *chat.User) error {
	if !room.VisibleTo(u) {
		return NoRoom()
	}
	return nil
}

// SignedIn refuses nobody signed in.
func SignedIn(u *chat.User) error {
	if u == nil {
		return chat.Errorf(chat.CodeUnauthenticated, "sign in first")
	}
	return nil
}

// Create refuses whoever may not make a room, or not one for staff.
func (r Rules) Create(u *chat.User, staffOnly bool) error {
	if err := SignedIn(u); err != nil {
		return err
	}
	switch {
	case u.Staff:
		return nil
	case u.Kind == chat.KindGuest:
		return chat.Errorf(chat.CodeForbidden, "guests can't make rooms")
	case !r.UsersCreate:
		return chat.Errorf(chat.CodeForbidden, "only staff make rooms here")
	case staffOnly:
		return chat.Errorf(chat.CodeForbidden, "only staff make rooms for staff")
	}
	return nil
}

// Manage refuses whoever may neither change nor delete a room: it takes staff or the room's owner.
func (r Rules) Manage(u *chat.User, owner chat.UserID) error {
	if err := SignedIn(u); err != nil {
		return err
	}
	if !u.Staff && (u.Kind == chat.KindGuest || u.ID != owner) {
		return chat.Errorf(chat.CodeForbidden, "only staff and the room's owner manage it")
	}
	return nil
}

// Edit refuses whoever may not rewrite a message of author.
func (r Rules) Edit(u chat.User, author chat.UserID) error {
	if u.ID != author && (!u.Staff || !r.StaffEdit) {
		return chat.Errorf(chat.CodeForbidden, "only its author edits a message")
	}
	return nil
}

// Delete refuses whoever may not delete a message of author.
func (r Rules) Delete(u chat.User, author chat.UserID) error {
	if u.ID != author && (!u.Staff || !r.StaffDelete) {
		return chat.Errorf(chat.CodeForbidden, "only its author deletes a message")
	}
	return nil
}

// Flags refuses settings of a room that contradict each other.
func Flags(staffOnly, allowGuests bool) error {
	if staffOnly && allowGuests {
		return chat.Errorf(chat.CodeBadRequest, "a room for staff only can't allow guests")
	}
	return nil
}
