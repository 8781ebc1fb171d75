package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/rooms/internal/access"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/room"
)

func (p pod) setMember(t *testing.T, id chat.RoomID, user chat.UserID, role string) room.AccessChange {
	t.Helper()
	change, err := p.rest.SetMember(t.Context(), access.MemberKey{Room: id, User: user}, role, chat.At(time.Now()))
	code(t, err, "")
	return change
}

func (p pod) setPrivate(t *testing.T, id chat.RoomID, private bool) room.AccessChange {
	t.Helper()
	change, err := p.rest.SetPrivate(t.Context(), id, private, chat.At(time.Now()))
	code(t, err, "")
	return change
}

// testListedByAccess holds lists against decisions, for rooms of all settings and with members and without.
func testListedByAccess(t *testing.T, b Backend) {
	p, ctx := newPod(t, b.Open(t)), t.Context()
	rooms, members := map[chat.Slug]message.Room{}, map[chat.Slug]access.Membership{}
	for _, settings := range access.AllSettings() {
		for _, m := range []access.Membership{{}, {Role: "member"}} {
			made, err := p.Create(ctx, as(staff), room.Draft{Slug: chat.Slug(fmt.Sprintf("r%d-%s", settings.Bit(), m.Role+"x")), Name: "x", StaffOnly: settings.StaffOnly})
			code(t, err, "")
			if settings.AllowGuests { // with a room for staff only, no call does that
				b.Exec(t, fmt.Sprintf(`UPDATE rooms SET allow_guests = '1' WHERE id = %d`, made.ID))
			}
			p.setPrivate(t, made.ID, settings.Private)
			if m.Member() {
				for _, u := range []chat.User{gil, ada, staff} {
					p.setMember(t, made.ID, u.ID, m.Role)
				}
			}
			made.AllowGuests, made.Private = settings.AllowGuests, settings.Private
			rooms[made.Slug], members[made.Slug] = made, m
		}
	}
	for _, u := range []*chat.User{nil, &gil, &ada, &staff} {
		subject := access.Subject{Tenant: tenant, User: u}
		page, _, err := p.List(ctx, subject, "", "", 100)
		code(t, err, "")
		listed := map[chat.Slug]bool{}
		for _, r := range page {
			listed[r.Slug] = true
		}
		for slug, r := range rooms {
			m := members[slug]
			if u == nil {
				m = access.Membership{}
			}
			if want := (access.Rules{}).Decide(subject, access.Know, r.Access(), m).Err == nil; listed[slug] != want {
				t.Errorf("%+v, with %+v, of %s: listed %v", u, m, slug, listed[slug])
			}
			if _, err = p.Find(ctx, subject, slug); (err == nil) != listed[slug] {
				t.Errorf("%+v of %s: %v", u, slug, err)
			}
		}
	}
}

func testMembers(t *testing.T, b Backend) {
	p, ctx := newPod(t, b.Open(t)), t.Context()
	r := p.room(t, "one")
	p.setMember(t, r.ID, ada.ID, "owner")
	p.setMember(t, r.ID, bob.ID, "member")
	p.setMember(t, r.ID, bob.ID, "moderator")
	keys := []access.MemberKey{{Room: r.ID, User: ada.ID}, {Room: r.ID, User: bob.ID}, {Room: r.ID, User: gil.ID}, {Room: r.ID + 1, User: ada.ID}}
	roles, err := p.rest.Roles(ctx, keys)
	if want := map[access.MemberKey]access.Membership{keys[0]: {Role: "owner"}, keys[1]: {Role: "moderator"}}; err != nil || !reflect.DeepEqual(roles, want) {
		t.Errorf("%v, %v, want %v", roles, err, want)
	}
	p.setMember(t, r.ID, bob.ID, "")
	p.setMember(t, r.ID, bob.ID, "") // none already
	if roles, err = p.rest.Roles(ctx, keys); err != nil || len(roles) != 1 {
		t.Error(roles, err)
	}
	if roles, err = p.rest.Roles(ctx, nil); err != nil || len(roles) != 0 {
		t.Error(roles, err)
	}
	code(t, p.Delete(ctx, as(staff), "one"), "")
	for _, id := range []chat.RoomID{r.ID, 1 << 40} {
		_, err = p.rest.SetMember(ctx, access.MemberKey{Room: id, User: ada.ID}, "member", chat.At(time.Now()))
		code(t, err, chat.CodeNotFound)
		_, err = p.rest.SetPrivate(ctx, id, true, chat.At(time.Now()))
		code(t, err, chat.CodeNotFound)
	}
}

// testAccessEvents holds what the lobby tells of access: for whom, before and after, and at which version.
func testAccessEvents(t *testing.T, b Backend) {
	p, ctx := newPod(t, b.Open(t)), t.Context()
	r, no, name := p.room(t, "one"), false, "Uno"
	_, err := p.Update(ctx, as(ada), "one", room.Patch{AllowGuests: &no})
	code(t, err, "")
	_, err = p.Update(ctx, as(ada), "one", room.Patch{Name: &name}) // of no matter to access
	code(t, err, "")
	p.setPrivate(t, r.ID, true)
	told := p.setMember(t, r.ID, bob.ID, "member")
	for n := range access.MaxListed {
		p.setMember(t, r.ID, chat.UserID(fmt.Sprint("u", n)), "member")
	}
	p.setMember(t, r.ID, "u0", "")
	code(t, p.Delete(ctx, as(staff), "one"), "")
	page, err := p.Lobby(ctx, lobby.EventsRequest{Limit: 1000}, time.Now())
	code(t, err, "")
	show := func(e lobby.Event) string {
		one := func(a lobby.Audience) string { return fmt.Sprint(a.Reach, " ", len(a.Users)) }
		return fmt.Sprint(e.AccessVersion, ": ", one(e.Former()), " to ", one(e.After()))
	}
	var got []string
	for i, e := range page.Events {
		if e.Seq != chat.Seq(i)+1 || e.Audience == nil || e.RoomID != r.ID || e.Room.Slug != "one" {
			t.Fatalf("%+v", e)
		}
		got = append(got, show(e))
	}
	last := len(got) - 1
	shown := append(got[:5:5], got[last-2:]...)
	if want := []string{
		"1: nobody 0 to everyone 0", "2: everyone 0 to no_guests 0", "2: no_guests 0 to no_guests 0", "3: no_guests 0 to users 0", "4: users 0 to users 1",
		"104: users 100 to ask 0", "105: ask 0 to users 100", "106: users 100 to nobody 0",
	}; strings.Join(shown, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(shown, "\n"), strings.Join(want, "\n"))
	}
	if told.Log != page.Log || asJSON(t, told.Event) != asJSON(t, page.Events[4]) || !told.Event.Room.Private || told.Event.Before == nil {
		t.Errorf("told %+v, kept %+v", told.Event, page.Events[4])
	}
	// An event of an older release says nothing of access, and is read by the room's flags.
	b.Exec(t, `UPDATE rooms_lobby SET access = NULL WHERE seq = 2`)
	page, err = p.Lobby(ctx, lobby.EventsRequest{After: 1, Limit: 1}, time.Now())
	code(t, err, "")
	if e := page.Events[0]; e.Audience != nil || e.AccessVersion != 0 || show(e) != "0: everyone 0 to no_guests 0" {
		t.Errorf("%+v", e)
	}
}

// testPrivateRooms has members of a private room talk, and nobody else, from the moment on that this changes.
func testPrivateRooms(t *testing.T, b Backend) {
	p, other, ctx := newPod(t, b.Open(t)), newPod(t, b.Open(t)), t.Context()
	r := p.room(t, "one")
	p.want(t, "[1 2]", send(ada, r.ID, "1", "hi"), send(staff, r.ID, "1", "hi")) // so that the pod has seen the room
	other.setMember(t, r.ID, ada.ID, "member")
	other.setPrivate(t, r.ID, true)
	p.want(t, "[3 not_found forbidden not_found 2]", send(ada, r.ID, "2", "ho"), send(bob, r.ID, "2", "ho"), send(staff, r.ID, "2", "ho"), send(gil, r.ID, "2", "ho"),
		send(staff, r.ID, "1", "hi"))
	other.setMember(t, r.ID, bob.ID, "member")
	other.setMember(t, r.ID, ada.ID, "")
	p.want(t, "[4 not_found not_found]", send(bob, r.ID, "3", "hi"), send(ada, r.ID, "3", "hi"), remove(ada, r.ID, 1))

	answers, err := p.Access(ctx, []room.Question{{Caller: as(ada), Slug: "one"}, {Caller: as(bob), Slug: "one"}, {Caller: as(staff), Slug: "one"}, {Caller: access.Subject{Tenant: tenant}, Slug: "one"}})
	code(t, err, "")
	for i, want := range []chat.Code{chat.CodeNotFound, "", chat.CodeForbidden, chat.CodeNotFound} {
		if a := answers[i]; chat.CodeOf(a.Error.Err()) != want || a.ForAll || a.Version != 5 || (a.Room != nil) != (want == "") {
			t.Errorf("%d: %+v", i, a)
		}
	}
	found, err := p.Find(ctx, as(staff), "one")
	if err != nil || !found.Private {
		t.Error(found, err)
	}
	_, err = p.FindToRead(ctx, as(staff), "one")
	code(t, err, chat.CodeForbidden)
	_, err = p.FindToRead(ctx, as(bob), "one")
	code(t, err, "")
	// A pod of an older release changes settings and raises no version.
	other.setPrivate(t, r.ID, false)
	p.want(t, "[5]", send(ada, r.ID, "4", "hi"))
	b.Exec(t, `UPDATE rooms SET staff_only = '1', allow_guests = '0'`)
	p.want(t, "[not_found 6]", send(ada, r.ID, "5", "hi"), send(staff, r.ID, "5", "hi"))
}

// changing are members who change each time that somebody asks for them, some times.
type changing struct {
	message.Members

	times  int
	change func()
}

func (c *changing) Roles(ctx context.Context, keys []access.MemberKey) (map[access.MemberKey]access.Membership, error) {
	roles, err := c.Members.Roles(ctx, keys)
	if c.times > 0 {
		c.times--
		c.change()
	}
	return roles, err
}

// testDecidedAgain changes who may do what between the decision and the lock.
func testDecidedAgain(t *testing.T, b Backend) {
	s := b.Open(t)
	p := newPod(t, s)
	r := p.room(t, "one")
	p.setPrivate(t, r.ID, true)
	members := &changing{Members: s.Rest}
	p.messages = message.New(message.Deps{
		Store: s.Log, Members: members, Bus: p.bus, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Now: time.Now,
	})
	p.want(t, "[not_found]", send(bob, r.ID, "1", "hi")) // so that the pod has seen the room
	// Others in the same batch go their way, in their order.
	open := p.room(t, "open")
	members.times, members.change = 1, func() { p.setMember(t, r.ID, bob.ID, "member") }
	p.want(t, "[1 1 2 2]", send(bob, r.ID, "2", "a"), send(ada, open.ID, "2", "b"), send(bob, r.ID, "3", "c"), send(ada, open.ID, "3", "d"))
	members.times, members.change = 1, func() { p.setMember(t, r.ID, bob.ID, "") }
	p.want(t, "[not_found 1]", send(bob, r.ID, "4", "e"), send(bob, r.ID, "2", "a"))
	// It is not decided for ever.
	role := ""
	members.times, members.change = 100, func() {
		role = map[string]string{"": "member", "member": ""}[role]
		p.setMember(t, r.ID, bob.ID, role)
	}
	p.want(t, "[unavailable 3]", send(bob, r.ID, "5", "f"), send(ada, open.ID, "4", "g"))
	members.times = 0
	if entries := p.log(t, r.ID); len(entries) != 2 {
		t.Errorf("%d entries", len(entries))
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
