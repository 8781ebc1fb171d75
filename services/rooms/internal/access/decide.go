package access

import "github.com/parley-chat/parley/pkg/chat"

// Decide says whether a subject, who has that membership of the room, may do something there.
func (r Rules) Decide(s Subject, action Action, room Room, m Membership) Decision {
	d := Decision{ForKind: true, Version: room.Version}
	if action == Create {
		d.Err = r.create(s, room.Settings)
		return d
	}
	if action != Know && action != Read {
		if d.Err = SignedIn(s.User); d.Err != nil {
			return d
		}
	}
	knows, reads := sight(s, room, m)
	d.ForKind = !byMembership(s, action, room)
	switch {
	case !knows:
		d.Err = NoRoom()
	case action == Know:
	case action == Manage:
		if !s.staff() {
			d.ForKind = false
			d.Err = manage(s, room)
		}
	case !reads:
		d.Err = chat.Errorf(chat.CodeForbidden, "only members of this room read it")
	case action == Edit:
		d.OwnOnly = !s.staff() || !r.StaffEdit
	case action == Delete:
		d.OwnOnly = !s.staff() || !r.StaffDelete
	}
	return d
}

// sight says whether a subject may know of a room, and read it.
func sight(s Subject, room Room, m Membership) (knows, reads bool) {
	switch {
	case room.Deleted, room.Tenant != s.Tenant:
		return false, false
	case room.StaffOnly && !s.staff():
		return false, false
	case room.Private:
		return m.Member() || s.staff(), m.Member()
	case s.guest():
		return room.AllowGuests, room.AllowGuests
	}
	return true, true
}

// byMembership says whether another membership would have another decision.
func byMembership(s Subject, action Action, room Room) bool {
	knew, read := sight(s, room, Membership{})
	knows, reads := sight(s, room, Membership{Role: "member"})
	return knew != knows || read != reads && action != Know && action != Manage
}

// create refuses whoever may not make a room of these settings.
func (r Rules) create(s Subject, settings Settings) error {
	if err := SignedIn(s.User); err != nil {
		return err
	}
	switch {
	case s.staff():
		return nil
	case s.guest():
		return chat.Errorf(chat.CodeForbidden, "guests can't make rooms")
	case !r.UsersCreate:
		return chat.Errorf(chat.CodeForbidden, "only staff make rooms here")
	case settings.StaffOnly:
		return chat.Errorf(chat.CodeForbidden, "only staff make rooms for staff")
	}
	return nil
}

// manage refuses whoever is neither staff nor the room's owner.
func manage(s Subject, room Room) error {
	if s.guest() || s.User.ID != room.Owner {
		return chat.Errorf(chat.CodeForbidden, "only staff and the room's owner manage it")
	}
	return nil
}

// OnMessageOf refuses the action on a message of that author, where d is the decision on an Edit or Delete of u.
func (d Decision) OnMessageOf(author chat.UserID, u chat.User, action Action) error {
	switch {
	case d.Err != nil:
		return d.Err
	case !d.OwnOnly || u.ID == author:
		return nil
	case action == Edit:
		return chat.Errorf(chat.CodeForbidden, "only its author edits a message")
	}
	return chat.Errorf(chat.CodeForbidden, "only its author deletes a message")
}
