package access

import (
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
)

// MaxListed is how many members of a private room an event of the lobby lists. Of larger rooms, edges ask.
const MaxListed = 100

// Audience is who may know of a room and read it, for an event of the lobby. Members are those of a private room, of
// which there may be more than MaxListed; other rooms need none.
func (r Room) Audience(members []chat.UserID) lobby.Audience {
	switch {
	case r.Deleted:
		return lobby.Audience{Reach: lobby.ReachNobody}
	case r.Private && (r.StaffOnly || len(members) > MaxListed): // who of the members is staff, only their tokens say
		return lobby.Audience{Reach: lobby.ReachAsk}
	case r.Private:
		return lobby.Audience{Reach: lobby.ReachUsers, Users: members}
	case r.StaffOnly:
		return lobby.Audience{Reach: lobby.ReachStaff}
	case r.AllowGuests:
		return lobby.Audience{Reach: lobby.ReachEveryone}
	}
	return lobby.Audience{Reach: lobby.ReachNoGuests}
}

// Listed says which rooms a list shows to a subject, for a query of a database: those whose Settings have a Bit in
// All, and those that the subject is a member of whose Settings have one in OfMember.
type Listed struct{ All, OfMember int }

// Bit is the place of the settings in a Listed, from 0 on. Queries work it out as staff_only + 2*allow_guests + 4*private.
func (s Settings) Bit() (bit int) {
	for place, set := range []bool{s.StaffOnly, s.AllowGuests, s.Private} {
		if set {
			bit += 1 << place
		}
	}
	return bit
}

// AllSettings are all that there are, contradictory ones too.
func AllSettings() []Settings {
	all := make([]Settings, 0, 8)
	for _, staffOnly := range []bool{false, true} {
		for _, allowGuests := range []bool{false, true} {
			all = append(all, Settings{staffOnly, allowGuests, false}, Settings{staffOnly, allowGuests, true})
		}
	}
	return all
}

// ListedFor is what a list shows to a subject: the rooms of its tenant that it may know of.
func (r Rules) ListedFor(s Subject) (l Listed) {
	for _, settings := range AllSettings() {
		room := Room{Settings: settings, Tenant: s.Tenant}
		if r.Decide(s, Know, room, Membership{}).Err == nil {
			l.All |= 1 << settings.Bit()
		}
		if r.Decide(s, Know, room, Membership{Role: "member"}).Err == nil {
			l.OfMember |= 1 << settings.Bit()
		}
	}
	return l
}
