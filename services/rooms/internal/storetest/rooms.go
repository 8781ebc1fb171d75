package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/rooms/internal/access"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/room"
)

func testRooms(t *testing.T, b Backend) {
	p, ctx := newPod(t, b.Open(t)), t.Context()
	made, err := p.Create(ctx, as(ada), room.Draft{Slug: "one", Name: "One", Description: "the\nfirst", AllowGuests: true})
	code(t, err, "")
	found, err := p.Find(ctx, access.Subject{Tenant: tenant}, "one")
	if err != nil || found != made || found.Name != "One" || found.Floor != 1 || found.Head != 0 || found.Log == "" || found.Owner != ada.ID {
		t.Errorf("%+v\n%+v\n%v", made, found, err)
	}
	yes, no := true, false
	for _, c := range []struct {
		who   chat.User
		draft room.Draft
		want  chat.Code
	}{
		{bob, room.Draft{Slug: "one", Name: "Mine"}, chat.CodeConflict},
		{gil, room.Draft{Slug: "two", Name: "Two"}, chat.CodeForbidden},
		{bob, room.Draft{Slug: "two", Name: "Two", StaffOnly: true}, chat.CodeForbidden},
		{staff, room.Draft{Slug: "two", Name: "Two", StaffOnly: true, AllowGuests: true}, chat.CodeBadRequest},
		{bob, room.Draft{Slug: "Two", Name: "Two"}, chat.CodeBadRequest},
		{bob, room.Draft{Slug: "two", Name: " "}, chat.CodeBadRequest},
		{bob, room.Draft{Slug: "two", Name: strings.Repeat("x", 101)}, chat.CodeBadRequest},
		{bob, room.Draft{Slug: "two", Name: "Two", Description: strings.Repeat("x", 1001)}, chat.CodeBadRequest},
		{bob, room.Draft{Slug: "two", Name: "Two", Description: "a\x00b"}, chat.CodeBadRequest},
		{staff, room.Draft{Slug: "two", Name: "Two", StaffOnly: true}, ""},
	} {
		_, err = p.Create(ctx, as(c.who), c.draft)
		if chat.CodeOf(err) != c.want {
			t.Errorf("%s makes %+v: %v, want %s", c.who.Name, c.draft, err, c.want)
		}
	}
	name := "Uno"
	for _, c := range []struct {
		who   chat.User
		slug  chat.Slug
		patch room.Patch
		want  chat.Code
	}{
		{bob, "one", room.Patch{Name: &name}, chat.CodeForbidden},
		{gil, "one", room.Patch{Name: &name}, chat.CodeForbidden},
		{bob, "two", room.Patch{Name: &name}, chat.CodeNotFound},
		{ada, "none", room.Patch{Name: &name}, chat.CodeNotFound},
		{ada, "No Slug", room.Patch{Name: &name}, chat.CodeNotFound},
		{ada, "one", room.Patch{StaffOnly: &yes}, chat.CodeBadRequest}, // it allows guests
		{ada, "one", room.Patch{StaffOnly: &yes, AllowGuests: &no}, chat.CodeForbidden},
		{ada, "one", room.Patch{}, ""},
		{ada, "one", room.Patch{Name: &name, AllowGuests: &no}, ""},
	} {
		_, err = p.Update(ctx, as(c.who), c.slug, c.patch)
		if chat.CodeOf(err) != c.want {
			t.Errorf("%s changes %s: %v, want %s", c.who.Name, c.slug, err, c.want)
		}
	}
	found, err = p.Find(ctx, as(bob), "one")
	if err != nil || found.Name != "Uno" || found.AllowGuests || found.Head != 1 {
		t.Errorf("%+v %v", found, err)
	}
	// A new name is told in the log, numbered like all else.
	notice := p.log(t, found.ID)[0]
	if told := parse[struct {
		Type, Text string
		Seq        chat.Seq
		Message    any
	}](t, notice.Event); notice.Kind != "notice" || told.Type != "notice" || told.Seq != 1 || !strings.Contains(told.Text, "Uno") || told.Message != nil {
		t.Errorf("%s", notice.Event)
	}
	code(t, p.Delete(ctx, as(bob), "one"), chat.CodeForbidden)
	code(t, p.Delete(ctx, as(ada), "one"), "")
	code(t, p.Delete(ctx, as(ada), "one"), chat.CodeNotFound)
	_, err = p.Find(ctx, as(staff), "one")
	code(t, err, chat.CodeNotFound)
	_, err = p.Create(ctx, as(staff), room.Draft{Slug: "one", Name: "One"})
	code(t, err, chat.CodeConflict) // for good
	if p.bus.drops[made.Log] != 1 {
		t.Error("the deleted room's stream stays")
	}
}

// testList holds the listing against decisions.
func testList(t *testing.T, b Backend) {
	p, ctx := newPod(t, b.Open(t)), t.Context()
	drafts := []room.Draft{
		{Slug: "a", Name: "Ärzte 100%", AllowGuests: true},
		{Slug: "b", Name: "B_b", Description: `back\slash`},
		{Slug: "b-2", Name: "Bb"},
		{Slug: "c", Name: "Secret", StaffOnly: true},
		{Slug: "d", Name: "Gone", AllowGuests: true},
		{Slug: "e", Name: "Last", AllowGuests: true},
	}
	var rooms []message.Room
	for _, d := range drafts {
		room, err := p.Create(ctx, as(staff), d)
		code(t, err, "")
		rooms = append(rooms, room)
	}
	code(t, p.Delete(ctx, as(staff), "d"), "")
	p.want(t, "[1]", send(ada, rooms[0].ID, "n", "hi"))
	other, err := p.Create(ctx, access.Subject{Tenant: "other", User: &staff}, room.Draft{Slug: "a", Name: "Other"})
	code(t, err, "")

	list := func(u *chat.User, search string, limit int) string {
		var all []string
		for cursor := ""; ; {
			page, next, err := p.List(ctx, access.Subject{Tenant: tenant, User: u}, search, cursor, limit)
			code(t, err, "")
			if len(page) > limit {
				t.Fatalf("%d rooms on a page of %d", len(page), limit)
			}
			for _, room := range page {
				all = append(all, string(room.Slug))
				if room.ID == other.ID || room.Slug == "a" && room.Head != 1 {
					t.Errorf("%+v", room)
				}
			}
			if cursor = next; next == "" {
				return strings.Join(all, " ")
			}
		}
	}
	for _, u := range []*chat.User{nil, &gil, &ada, &staff} {
		var want []string
		for _, room := range rooms {
			if (access.Rules{}).Decide(access.Subject{Tenant: tenant, User: u}, access.Know, room.Access(), access.Membership{}).Err == nil && room.Slug != "d" {
				want = append(want, string(room.Slug))
			}
		}
		for limit := range 5 {
			if got := list(u, "", limit+1); got != strings.Join(want, " ") {
				t.Errorf("%+v sees %s, want %s", u, got, want)
			}
		}
	}
	for search, want := range map[string]string{"ÄRZ": "a", "%": "a", "_": "b", `\`: "b", "bB": "b-2", "B-2": "b-2", "secret": "", "none": "", "b": "b b-2"} {
		if got := list(&ada, search, 10); got != want {
			t.Errorf("search %q finds %q, want %q", search, got, want)
		}
	}
	for _, cursor := range []string{"?", "QQ", "YWJjIQ"} {
		_, _, err := p.List(ctx, as(ada), "", cursor, 0)
		code(t, err, chat.CodeBadRequest)
	}
}

func testLobby(t *testing.T, b Backend) {
	p, ctx := newPod(t, b.Open(t)), t.Context()
	started := time.Now()
	read := func(req lobby.EventsRequest) lobby.Page {
		t.Helper()
		page, err := p.Lobby(ctx, req, time.Now())
		code(t, err, "")
		return page
	}
	if page := read(lobby.EventsRequest{Limit: 10}); page.Head != 0 || page.Log == "" || len(page.Events) != 0 {
		t.Errorf("%+v", page)
	}
	r, name, no := p.room(t, "one"), "Uno", false
	_, err := p.Update(ctx, as(ada), "one", room.Patch{Name: &name, AllowGuests: &no})
	code(t, err, "")
	_, err = p.Update(ctx, as(ada), "one", room.Patch{Name: &name}) // changes nothing, tells nothing
	code(t, err, "")
	code(t, p.Delete(ctx, as(ada), "one"), "")
	page := read(lobby.EventsRequest{Limit: 10})
	if page.Head != 3 || len(page.Events) != 3 {
		t.Fatalf("%+v", page)
	}
	created, updated, deleted := page.Events[0], page.Events[1], page.Events[2]
	if created.Kind != lobby.RoomCreated || created.Room.Name != "one" || created.RoomID != r.ID || created.Tenant != tenant || created.Before != nil || created.Room.Log != r.Log {
		t.Errorf("%+v", created)
	}
	if updated.Kind != lobby.RoomUpdated || updated.Room.Name != "Uno" || updated.Room.AllowGuests || updated.Before.Name != "one" || !updated.Before.AllowGuests || updated.Room.Head != 1 {
		t.Errorf("%+v %+v", updated.Room, updated.Before)
	}
	if deleted.Kind != lobby.RoomDeleted || deleted.Room.Slug != "one" || deleted.Room.Name != "Uno" || deleted.At.Before(started.Add(-time.Second)) {
		t.Errorf("%+v", deleted)
	}
	if fmt.Sprintf("%+v", p.bus.events[1].Room) != fmt.Sprintf("%+v", updated.Room) || len(p.bus.events) != 3 {
		t.Errorf("announced %+v", p.bus.events)
	}
	if page = read(lobby.EventsRequest{After: 1, Limit: 1}); len(page.Events) != 1 || page.Events[0].Seq != 2 || page.Head != 3 {
		t.Errorf("%+v", page)
	}
	if page = read(lobby.EventsRequest{Limit: 0}); len(page.Events) != 0 || page.Head != 3 {
		t.Errorf("%+v", page)
	}
	if page = read(lobby.EventsRequest{Limit: 10, MaxAgeMS: 60_000}); len(page.Events) != 3 {
		t.Errorf("%+v", page)
	}
	const apart = 300 * time.Millisecond // the last event from those before it, by the database's clock
	time.Sleep(apart)
	began := time.Now()
	p.room(t, "two")
	for asked := began; time.Since(asked) > apart/2 || asked.Equal(began); { // again where the answer took too long to say anything
		asked = time.Now()
		page = read(lobby.EventsRequest{Limit: 10, MaxAgeMS: (time.Since(began) + apart/2).Milliseconds()})
	}
	if len(page.Events) != 1 || page.Events[0].Seq != 4 {
		t.Errorf("%+v", page)
	}
	time.Sleep(20 * time.Millisecond)
	if page = read(lobby.EventsRequest{Limit: 10, MaxAgeMS: 1}); len(page.Events) != 0 || page.Head != 4 {
		t.Errorf("%+v", page)
	}
	// What was decided at a seq of the lobby shows all up to it.
	answers, err := p.Access(ctx, []room.Question{{Caller: as(ada), Slug: "two"}, {Caller: as(ada), Slug: "one"}, {Caller: as(gil), Slug: "None!"}, {Err: chat.Errorf(chat.CodeUnauthenticated, "no")}})
	code(t, err, "")
	if a := answers[0]; a.Lobby != 4 || a.Error != nil || a.Room.Slug != "two" || a.ID == 0 || !a.ForAll {
		t.Errorf("%+v", a)
	}
	for i, want := range []chat.Code{chat.CodeNotFound, chat.CodeNotFound, chat.CodeUnauthenticated} {
		if a := answers[i+1]; a.Lobby != 4 || a.Error.Code != want || a.Room != nil || a.ID != 0 {
			t.Errorf("%+v", a)
		}
	}
}

// testLobbyOfPods has several pods change rooms at once: no hole, and each slug once.
func testLobbyOfPods(t *testing.T, b Backend) {
	pods := []pod{newPod(t, b.Open(t)), newPod(t, b.Open(t))}
	var mu sync.Mutex
	made := map[string]int{}
	var wg sync.WaitGroup
	for _, p := range pods {
		for range 2 {
			wg.Go(func() {
				for n := range 8 {
					slug := chat.Slug(fmt.Sprint("r", n))
					_, err := p.Create(t.Context(), as(ada), room.Draft{Slug: slug, Name: "x"})
					mu.Lock()
					made[string(slug)+" "+string(chat.CodeOf(err))]++
					mu.Unlock()
					name := fmt.Sprint("name ", n)
					if _, err := p.Update(t.Context(), as(ada), slug, room.Patch{Name: &name}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	for n := range 8 {
		if made[fmt.Sprint("r", n, " ")] != 1 || made[fmt.Sprint("r", n, " conflict")] != 3 {
			t.Error(made)
		}
	}
	page, err := pods[0].Lobby(t.Context(), lobby.EventsRequest{Limit: 1000}, time.Now())
	if err != nil || len(page.Events) != 16 || page.Head != 16 {
		t.Fatal(err, len(page.Events), page.Head)
	}
	if !slices.IsSortedFunc(page.Events, func(a, b lobby.Event) int { return int(a.Seq - b.Seq) }) || page.Events[0].Seq != 1 {
		t.Error("a hole in the lobby")
	}
}

func testSeed(t *testing.T, b Backend) {
	ctx := t.Context()
	var wg sync.WaitGroup
	p := newPod(t, b.Open(t))
	pods := []pod{p, newPod(t, b.Open(t))}
	for _, p := range pods {
		wg.Go(func() {
			if err := p.Seed(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if guests, _, err := p.List(ctx, as(gil), "", "", 0); err != nil || len(guests) != 1 || guests[0].Slug != "general" {
		t.Error(guests, err)
	}
	if all, _, err := p.List(ctx, as(staff), "", "", 0); err != nil || len(all) != 2 || all[1].Slug != "staff" {
		t.Error(all, err)
	}
	code(t, p.Delete(ctx, as(staff), "general"), "")
	code(t, p.Delete(ctx, as(staff), "staff"), "")
	code(t, p.Seed(ctx), "")
	if all, _, err := p.List(ctx, as(staff), "", "", 0); err != nil || len(all) != 0 {
		t.Error("deleted rooms came back:", all, err)
	}
}

func testSeedOfOthers(t *testing.T, b Backend) {
	p := newPod(t, b.Open(t))
	p.room(t, "one")
	code(t, p.Seed(t.Context()), "")
	if all, _, err := p.List(t.Context(), as(staff), "", "", 0); err != nil || len(all) != 1 {
		t.Error("a store that had rooms was seeded:", all, err)
	}
}

func testRenewLogs(t *testing.T, b Backend) {
	p, ctx := newPod(t, b.Open(t)), t.Context()
	one, two := p.room(t, "one"), p.room(t, "two")
	p.want(t, "[1]", send(ada, one.ID, "n", "hi"))
	before, err := p.Lobby(ctx, lobby.EventsRequest{}, time.Now())
	code(t, err, "")
	n, err := p.RenewLogs(ctx)
	code(t, err, "")
	if n != 2 {
		t.Fatal(n)
	}
	after, err := p.Lobby(ctx, lobby.EventsRequest{}, time.Now())
	code(t, err, "")
	tail, err := p.messages.Tail(ctx, one.ID, 0, 0)
	code(t, err, "")
	again, err := p.Find(ctx, as(ada), "two")
	code(t, err, "")
	names := map[chat.LogID]bool{one.Log: true, two.Log: true, before.Log: true, after.Log: true, tail.Log: true, again.Log: true}
	if len(names) != 6 || tail.Head != 1 || len(tail.Entries) != 1 || after.Head != before.Head {
		t.Error(names, tail)
	}
}
