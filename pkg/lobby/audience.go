package lobby

import (
	"slices"

	"github.com/parley-chat/parley/pkg/chat"
)

// Reach names the group of users that an audience is made of. Readers treat a reach that they do not know as
// ReachAsk.
type Reach string

// The reaches. In all but ReachUsers and ReachAsk, whoever may know of a room may read it.
const (
	ReachEveryone Reach = "everyone"  // guests too, and those who have not signed in
	ReachNoGuests Reach = "no_guests" // users with an account
	ReachStaff    Reach = "staff"
	ReachUsers    Reach = "users"  // the users listed read; staff know of the room besides
	ReachAsk      Reach = "ask"    // only the rooms service can tell, for each user
	ReachNobody   Reach = "nobody" // as of a deleted room
)

// Audience says who may know of a room and who may read it. The rooms service decides it; an edge works nothing out
// from the flags of a room.
type Audience struct {
	Reach Reach         `json:"reach"`
	Users []chat.UserID `json:"users,omitempty"` // of ReachUsers
}

// Knows says whether a user may know of the room. When sure is false, the rooms service must be asked.
func (a Audience) Knows(u chat.User) (knows, sure bool) {
	if a.Reach == ReachUsers && u.Staff {
		return true, true
	}
	return a.Reads(u)
}

// Reads says whether a user may read the room. When sure is false, the rooms service must be asked.
func (a Audience) Reads(u chat.User) (reads, sure bool) {
	switch a.Reach {
	case ReachEveryone:
		return true, true
	case ReachNoGuests:
		return u.Staff || u.Kind == chat.KindUser, true
	case ReachStaff:
		return u.Staff, true
	case ReachUsers:
		return slices.Contains(a.Users, u.ID), true
	case ReachNobody:
		return false, true
	case ReachAsk:
	}
	return false, false
}

// audienceByFlags is the audience of an event of an older release, which has none.
func audienceByFlags(room *chat.Room) Audience {
	switch {
	case room == nil:
		return Audience{Reach: ReachNobody}
	case room.StaffOnly, room.Private:
		return Audience{Reach: ReachStaff}
	case room.AllowGuests:
		return Audience{Reach: ReachEveryone}
	}
	return Audience{Reach: ReachNoGuests}
}

// After returns who may know of and read the event's room after the change.
func (e Event) After() Audience {
	switch {
	case e.Kind == RoomDeleted:
		return Audience{Reach: ReachNobody}
	case e.Audience != nil:
		return *e.Audience
	}
	return audienceByFlags(e.Room)
}

// Former returns who might know of and read the event's room before the change.
func (e Event) Former() Audience {
	switch {
	case e.FormerAudience != nil:
		return *e.FormerAudience
	case e.Kind == RoomDeleted:
		return audienceByFlags(e.Room)
	}
	return audienceByFlags(e.Before)
}
