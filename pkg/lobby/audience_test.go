package lobby

import (
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
)

func TestAudience(t *testing.T) {
	guest := chat.User{ID: "g", Kind: chat.KindGuest}
	user := chat.User{ID: "u", Kind: chat.KindUser}
	staff := chat.User{ID: "s", Kind: chat.KindUser, Staff: true}
	for _, c := range []struct {
		audience     Audience
		knows, reads [3]bool // guest, user, staff
		sure         bool
	}{
		{Audience{Reach: ReachEveryone}, [3]bool{true, true, true}, [3]bool{true, true, true}, true},
		{Audience{Reach: ReachNoGuests}, [3]bool{false, true, true}, [3]bool{false, true, true}, true},
		{Audience{Reach: ReachStaff}, [3]bool{false, false, true}, [3]bool{false, false, true}, true},
		{Audience{Reach: ReachUsers, Users: []chat.UserID{"g", "s"}}, [3]bool{true, false, true}, [3]bool{true, false, true}, true},
		{Audience{Reach: ReachUsers, Users: []chat.UserID{"u"}}, [3]bool{false, true, true}, [3]bool{false, true, false}, true},
		{Audience{Reach: ReachNobody}, [3]bool{}, [3]bool{}, true},
		{Audience{Reach: ReachAsk}, [3]bool{}, [3]bool{}, false},
		{Audience{Reach: "of a later release"}, [3]bool{}, [3]bool{}, false},
		{Audience{}, [3]bool{}, [3]bool{}, false},
	} {
		for i, u := range []chat.User{guest, user, staff} {
			if knows, sure := c.audience.Knows(u); knows != c.knows[i] || sure != c.sure {
				t.Errorf("%+v: %s knows: %v, %v", c.audience, u.ID, knows, sure)
			}
			if reads, sure := c.audience.Reads(u); reads != c.reads[i] || sure != c.sure {
				t.Errorf("%+v: %s reads: %v, %v", c.audience, u.ID, reads, sure)
			}
		}
	}
}

// An event of an older release has no audience: the flags of its rooms tell, and a private room is hidden.
func TestEventsWithoutAudience(t *testing.T) {
	room := func(staff, guests, private bool) *chat.Room {
		return &chat.Room{StaffOnly: staff, AllowGuests: guests, Private: private}
	}
	for _, c := range []struct {
		event         Event
		former, after Reach
	}{
		{Event{Kind: RoomCreated, Room: room(false, true, false)}, ReachNobody, ReachEveryone},
		{Event{Kind: RoomUpdated, Room: room(false, false, false), Before: room(true, false, false)}, ReachStaff, ReachNoGuests},
		{Event{Kind: RoomUpdated, Room: room(false, true, true), Before: room(false, true, false)}, ReachEveryone, ReachStaff},
		{Event{Kind: RoomDeleted, Room: room(false, false, false)}, ReachNoGuests, ReachNobody},
		{Event{Kind: RoomDeleted, Room: room(false, false, false), FormerAudience: &Audience{Reach: ReachUsers}}, ReachUsers, ReachNobody},
		{Event{Kind: RoomUpdated, Room: room(false, true, true), Audience: &Audience{Reach: ReachAsk}, FormerAudience: &Audience{Reach: ReachEveryone}}, ReachEveryone, ReachAsk},
	} {
		if former, after := c.event.Former().Reach, c.event.After().Reach; former != c.former || after != c.after {
			t.Errorf("%+v: %s, then %s; want %s, then %s", c.event, former, after, c.former, c.after)
		}
	}
}
