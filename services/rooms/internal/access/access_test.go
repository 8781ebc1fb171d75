package access

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
)

var (
	nobody = Subject{Tenant: "t"}
	guest  = Subject{Tenant: "t", User: &chat.User{ID: "gil", Kind: chat.KindGuest}}
	user   = Subject{Tenant: "t", User: &chat.User{ID: "bob", Kind: chat.KindUser}}
	owner  = Subject{Tenant: "t", User: &chat.User{ID: "ada", Kind: chat.KindUser}}
	staff  = Subject{Tenant: "t", User: &chat.User{ID: "sue", Kind: chat.KindUser, Staff: true}}
	alien  = Subject{Tenant: "other", User: &chat.User{ID: "sue", Kind: chat.KindUser, Staff: true}}

	none, member = Membership{}, Membership{Role: "member"}
)

// show is a decision in short: whether it is for the kind (k) or this user (u), and "own" for one on own messages alone.
func show(d Decision) string {
	text := "ok"
	switch {
	case d.Err != nil:
		text = string(chat.CodeOf(d.Err))
	case d.OwnOnly:
		text = "own"
	}
	if d.ForKind {
		return text + "/k"
	}
	return text + "/u"
}

func TestDecisions(t *testing.T) {
	rules := Rules{UsersCreate: true, StaffDelete: true}
	open, users := Settings{AllowGuests: true}, Settings{}
	staffOnly, private, privateStaff := Settings{StaffOnly: true}, Settings{Private: true, AllowGuests: true}, Settings{Private: true, StaffOnly: true}
	for _, c := range []struct {
		who  Subject
		what Settings
		m    Membership
		want string // know read send edit delete manage
	}{
		{nobody, open, none, "ok/k ok/k unauthenticated/k unauthenticated/k unauthenticated/k unauthenticated/k"},
		{nobody, users, none, "not_found/k not_found/k unauthenticated/k unauthenticated/k unauthenticated/k unauthenticated/k"},
		{guest, open, none, "ok/k ok/k ok/k own/k own/k forbidden/u"},
		{guest, users, none, "not_found/k not_found/k not_found/k not_found/k not_found/k not_found/k"},
		{guest, staffOnly, member, "not_found/k not_found/k not_found/k not_found/k not_found/k not_found/k"},
		{guest, private, none, "not_found/u not_found/u not_found/u not_found/u not_found/u not_found/u"},
		{guest, private, member, "ok/u ok/u ok/u own/u own/u forbidden/u"},
		{user, open, none, "ok/k ok/k ok/k own/k own/k forbidden/u"},
		{user, users, none, "ok/k ok/k ok/k own/k own/k forbidden/u"},
		{owner, users, none, "ok/k ok/k ok/k own/k own/k ok/u"},
		{user, staffOnly, none, "not_found/k not_found/k not_found/k not_found/k not_found/k not_found/k"},
		{user, private, none, "not_found/u not_found/u not_found/u not_found/u not_found/u not_found/u"},
		{user, private, member, "ok/u ok/u ok/u own/u own/u forbidden/u"},
		{owner, private, none, "not_found/u not_found/u not_found/u not_found/u not_found/u not_found/u"},
		{owner, private, member, "ok/u ok/u ok/u own/u own/u ok/u"},
		{user, privateStaff, member, "not_found/k not_found/k not_found/k not_found/k not_found/k not_found/k"},
		{staff, staffOnly, none, "ok/k ok/k ok/k own/k ok/k ok/k"},
		{staff, private, none, "ok/k forbidden/u forbidden/u forbidden/u forbidden/u ok/k"},
		{staff, private, member, "ok/k ok/u ok/u own/u ok/u ok/k"},
		{staff, privateStaff, none, "ok/k forbidden/u forbidden/u forbidden/u forbidden/u ok/k"},
		{alien, open, none, "not_found/k not_found/k not_found/k not_found/k not_found/k not_found/k"},
	} {
		var got []string
		for _, action := range []Action{Know, Read, Send, Edit, Delete, Manage} {
			d := rules.Decide(c.who, action, Room{Settings: c.what, Tenant: "t", Owner: "ada", Version: 7}, c.m)
			if d.Version != 7 {
				t.Errorf("decided at version %d", d.Version)
			}
			got = append(got, show(d))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v in %+v as %q:\n%s, want\n%s", c.who.User, c.what, c.m.Role, strings.Join(got, " "), c.want)
		}
	}
	if d := rules.Decide(staff, Know, Room{Tenant: "t", Deleted: true}, member); show(d) != "not_found/k" || d.Err.Error() != NoRoom().Error() {
		t.Error(d)
	}
}

func TestWhoMakesRooms(t *testing.T) {
	for _, c := range []struct {
		rules Rules
		who   Subject
		what  Settings
		want  string
	}{
		{Rules{UsersCreate: true}, user, Settings{}, "ok/k"},
		{Rules{UsersCreate: true}, user, Settings{StaffOnly: true}, "forbidden/k"},
		{Rules{}, user, Settings{}, "forbidden/k"},
		{Rules{UsersCreate: true}, guest, Settings{}, "forbidden/k"},
		{Rules{UsersCreate: true}, nobody, Settings{}, "unauthenticated/k"},
		{Rules{}, staff, Settings{StaffOnly: true}, "ok/k"},
	} {
		if got := show(c.rules.Decide(c.who, Create, Room{Settings: c.what}, none)); got != c.want {
			t.Errorf("%+v makes %+v: %s, want %s", c.who.User, c.what, got, c.want)
		}
	}
	if chat.CodeOf(Settings{StaffOnly: true, AllowGuests: true}.Check()) != chat.CodeBadRequest || (Settings{AllowGuests: true}).Check() != nil {
		t.Error("settings that contradict each other")
	}
}

func TestMessagesOfOthers(t *testing.T) {
	room := Room{Tenant: "t"}
	for _, c := range []struct {
		rules  Rules
		who    Subject
		action Action
		author chat.UserID
		want   chat.Code
	}{
		{Rules{}, user, Edit, "bob", ""},
		{Rules{}, user, Edit, "ada", chat.CodeForbidden},
		{Rules{StaffEdit: true}, user, Edit, "ada", chat.CodeForbidden},
		{Rules{}, staff, Edit, "ada", chat.CodeForbidden},
		{Rules{StaffEdit: true}, staff, Edit, "ada", ""},
		{Rules{}, user, Delete, "ada", chat.CodeForbidden},
		{Rules{StaffEdit: true}, staff, Delete, "ada", chat.CodeForbidden},
		{Rules{StaffDelete: true}, staff, Delete, "ada", ""},
		{Rules{}, guest, Delete, "gil", chat.CodeNotFound},
	} {
		err := c.rules.Decide(c.who, c.action, room, none).OnMessageOf(c.author, *c.who.User, c.action)
		if chat.CodeOf(err) != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// A decision that holds for a kind is the same for everybody of it.
func TestDecisionsForAKind(t *testing.T) {
	rules := Rules{UsersCreate: true, StaffDelete: true}
	for _, settings := range AllSettings() {
		for _, who := range []Subject{nobody, guest, user, staff} {
			for _, action := range []Action{Know, Read, Send, Edit, Delete, Manage} {
				room := Room{Settings: settings, Tenant: "t", Owner: "ada"}
				as := func(m Membership) Decision { return rules.Decide(who, action, room, m) }
				if as(none).ForKind != as(member).ForKind || as(none).ForKind && fmt.Sprint(as(none)) != fmt.Sprint(as(member)) {
					t.Errorf("%+v, action %d in %+v: %+v and as a member %+v", who.User, action, settings, as(none), as(member))
				}
			}
		}
	}
}

// Who an event of the lobby is for is who may know of and read the room.
func TestAudiencesAreTheDecisions(t *testing.T) {
	people := []Subject{guest, user, owner, staff}
	memberships := map[chat.UserID]Membership{"ada": member, "gil": member}
	for _, settings := range append(AllSettings(), Settings{}) {
		room := Room{Settings: settings, Tenant: "t"}
		for _, deleted := range []bool{false, true} {
			room.Deleted = deleted
			audience := room.Audience([]chat.UserID{"ada", "gil"})
			for _, who := range people {
				for _, c := range []struct {
					action Action
					told   func(chat.User) (bool, bool)
				}{{Know, audience.Knows}, {Read, audience.Reads}} {
					action := c.action
					yes, sure := c.told(*who.User)
					if want := (Rules{}).Decide(who, action, room, memberships[who.User.ID]).Err == nil; sure && yes != want {
						t.Errorf("%+v in %+v, action %d: the audience %+v says %v", who.User, settings, action, audience, yes)
					} else if !sure && audience.Reach != lobby.ReachAsk {
						t.Errorf("%+v is not sure", audience)
					}
				}
			}
		}
	}
	if many := (Room{Settings: Settings{Private: true}}).Audience(make([]chat.UserID, MaxListed+1)); many.Reach != lobby.ReachAsk || many.Users != nil {
		t.Error(many)
	}
}

func TestListsAreTheDecisions(t *testing.T) {
	for _, who := range []Subject{nobody, guest, user, staff} {
		listed := Rules{}.ListedFor(who)
		for _, settings := range AllSettings() {
			for m, set := range map[Membership]int{none: listed.All, member: listed.OfMember} {
				want := Rules{}.Decide(who, Know, Room{Settings: settings, Tenant: "t"}, m).Err == nil
				if got := set>>settings.Bit()&1 == 1; got != want {
					t.Errorf("%+v in %+v: listed %v", who.User, settings, got)
				}
			}
		}
	}
}
