package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/services/rooms/internal/directory"
	"github.com/parley-chat/parley/services/rooms/internal/ledger"
)

func testAppend(t *testing.T, b Backend) {
	p := newPod(t, b.Open(t))
	one, two := p.room(t, "one"), p.room(t, "two")
	p.want(t, "[1 1 2 bad_request 3 2]",
		send(ada, one.ID, "a", "first <b>&\u2028 \"quoted\" \x01"), send(gil, two.ID, "a", "zwei"), send(bob, one.ID, "a", "second"),
		send(bob, one.ID, "", "no nonce"), reply(ada, one.ID, "b", "third", 1), edit(gil, two.ID, 1, "deux"))
	p.want(t, "[4]", send(ada, one.ID, "c", strings.Repeat("x", chat.MaxBodyBytes)))

	entries := p.log(t, one.ID)
	first := parse[struct {
		Type    string
		Room    chat.Slug
		Seq     chat.Seq
		Message state
	}](t, entries[0].Event)
	if first.Type != "message" || first.Room != "one" || first.Seq != 1 || first.Message.ID != 1 || *first.Message.Body != "first <b>&\u2028 \"quoted\" \x01" ||
		first.Message.Author != ada.Author() || first.Message.Nonce != "a" || entries[0].Message != 1 || entries[0].State != nil {
		t.Errorf("%+v\n%s", first, entries[0].Event)
	}
	if at, err := time.Parse("2006-01-02T15:04:05.000Z", first.Message.SentAt); err != nil || time.Since(at).Abs() > time.Minute {
		t.Error(first.Message.SentAt, err)
	}
	if got := parse[struct{ Message state }](t, entries[2].Event).Message.ReplyTo; got != 1 {
		t.Error("reply_to", got)
	}
	// What was published is what a later reader gets.
	if published := text(p.bus.streams[one.Log]); published != text(entries) {
		t.Errorf("published %s\nread %s", published, text(entries))
	}
}

func testNonces(t *testing.T, b Backend) {
	p := newPod(t, b.Open(t))
	r, other := p.room(t, "one"), p.room(t, "two")
	p.want(t, "[1 1 2 conflict 1]",
		send(ada, r.ID, "n", "hi"), send(ada, r.ID, "n", "hi"), send(bob, r.ID, "n", "hi"), send(ada, r.ID, "n", "ho"), send(ada, other.ID, "n", "hi"))
	p.want(t, "[1 conflict conflict conflict]",
		send(ada, r.ID, "n", "hi"), send(ada, r.ID, "n", "ho"), reply(ada, r.ID, "n", "hi", 1), withNonce(edit(ada, r.ID, 1, "hi"), "n"))
	p.want(t, "[3]", remove(ada, r.ID, 1))
	p.want(t, "[1 conflict]", send(ada, r.ID, "n", "hi"), send(ada, r.ID, "n", "ho")) // also after the delete
	if entries := p.log(t, r.ID); len(entries) != 3 {
		t.Errorf("%d entries, want 3", len(entries))
	}
}

func testNoncesOfChanges(t *testing.T, b Backend) {
	p := newPod(t, b.Open(t))
	r := p.room(t, "one")
	p.want(t, "[1 2]", send(ada, r.ID, "1", "hi"), send(ada, r.ID, "2", "ho"))
	p.want(t, "[3 3 4]", withNonce(edit(ada, r.ID, 1, "x"), "e"), withNonce(edit(ada, r.ID, 1, "x"), "e"), edit(ada, r.ID, 1, "y"))
	p.want(t, "[3 conflict conflict]", withNonce(edit(ada, r.ID, 1, "x"), "e"), withNonce(edit(ada, r.ID, 1, "z"), "e"), withNonce(edit(ada, r.ID, 2, "x"), "e"))
	p.want(t, "[5 5 5 5]", withNonce(remove(ada, r.ID, 1), "d"), withNonce(remove(ada, r.ID, 1), "d"), remove(ada, r.ID, 1), withNonce(remove(staff, r.ID, 1), "s"))
	p.want(t, "[5 5 conflict]", withNonce(remove(ada, r.ID, 1), "d"), withNonce(remove(staff, r.ID, 1), "s"), withNonce(remove(staff, r.ID, 2), "s"))
	p.want(t, "[3]", withNonce(edit(ada, r.ID, 1, "x"), "e")) // was done, though the message is gone now
	p.log(t, r.ID)
}

func testNonceOutlivesAccess(t *testing.T, b Backend) {
	p := newPod(t, b.Open(t))
	r := p.room(t, "one")
	p.want(t, "[1]", send(gil, r.ID, "n", "hi"))
	no := false
	if _, err := p.Update(t.Context(), as(ada), "one", directory.Patch{AllowGuests: &no}); err != nil {
		t.Fatal(err)
	}
	p.want(t, "[1 not_found]", send(gil, r.ID, "n", "hi"), send(gil, r.ID, "m", "hi"))
}

func testChanges(t *testing.T, b Backend) {
	store := b.Open(t)
	p := newPod(t, store)
	r := p.room(t, "one")
	p.want(t, "[1 2 3]", send(ada, r.ID, "1", "hi"), reply(bob, r.ID, "2", "secret", 1), edit(ada, r.ID, 1, "hello"))
	p.want(t, "[forbidden forbidden forbidden not_found not_found not_found not_found bad_request not_found]",
		edit(bob, r.ID, 1, "mine"), edit(staff, r.ID, 1, "mine"), remove(ada, r.ID, 2), edit(ada, r.ID, 3, "an edit"), edit(ada, r.ID, 99, "none"),
		remove(ada, r.ID, 3), reply(ada, r.ID, "r", "to an edit", 3), edit(ada, r.ID, 0, "x"), remove(ada, r.ID, -1))
	p.want(t, "[4 not_found 4 5]", remove(staff, r.ID, 2), edit(bob, r.ID, 2, "again"), remove(bob, r.ID, 2), reply(ada, r.ID, "r", "to a deleted one", 2))
	// Written, changed and deleted in one batch.
	p.want(t, "[6 7 8 not_found]", send(ada, r.ID, "6", "draft"), edit(ada, r.ID, 6, "better"), remove(ada, r.ID, 6), edit(ada, r.ID, 6, "late"))

	entries := p.log(t, r.ID)
	var kinds []string
	for _, e := range entries {
		kinds = append(kinds, e.Kind)
		if strings.Contains(string(e.Event)+string(e.State), "secret") || strings.Contains(string(e.Event)+string(e.State), "draft") {
			t.Errorf("a deleted body goes out: %s", e.Event)
		}
	}
	if fmt.Sprint(kinds) != "[message message edited deleted message message edited deleted]" {
		t.Error(kinds)
	}
	edited := parse[struct{ Message state }](t, entries[2].Event).Message
	if *edited.Body != "hello" || edited.EditedAt == "" || edited.ID != 1 || entries[2].Message != 1 || string(entries[2].State) == "" {
		t.Errorf("%s", entries[2].Event)
	}
	deleted := parse[struct{ Message chat.Seq }](t, entries[3].Event)
	gone := parse[state](t, entries[3].State)
	if deleted.Message != 2 || !gone.Deleted || gone.Body != nil || gone.ID != 2 || gone.Author != bob.Author() || gone.ReplyTo != 1 {
		t.Errorf("%s\n%s", entries[3].Event, entries[3].State)
	}
	// The body is gone from the database too, not only from what is shown.
	_, items, err := store.Read(t.Context(), r.ID, ledger.Span{Limit: 100, Bytes: 1 << 20})
	code(t, err, "")
	for _, item := range items {
		if item.DeletedBy != 0 && item.Body != "" || item.Kind == ledger.KindDeleted && item.Subject.Body != "" {
			t.Errorf("a deleted body is kept: %+v", item)
		}
	}
	if p.bus.drops[r.Log] != 2 {
		t.Errorf("the stream was dropped %d times for 2 batches with a delete", p.bus.drops[r.Log])
	}
	// After the drop comes the delete itself, so that those who follow hear of it.
	if s := p.bus.streams[r.Log]; len(s) != 3 || s[2].Kind != "deleted" || strings.Contains(text(s), "draft") {
		t.Error(text(s))
	}
}

func testRefusals(t *testing.T, b Backend) {
	p := newPod(t, b.Open(t))
	open := p.room(t, "open")
	users, err := p.Create(t.Context(), as(ada), directory.Draft{Slug: "users", Name: "users"})
	code(t, err, "")
	ours, err := p.Create(t.Context(), as(staff), directory.Draft{Slug: "ours", Name: "ours", StaffOnly: true})
	code(t, err, "")
	gone := p.room(t, "gone")
	code(t, p.Delete(t.Context(), as(ada), "gone"), "")
	stranger := send(staff, open.ID, "n", "hi")
	stranger.Tenant = "other"
	p.want(t, "[not_found not_found not_found 1 1 not_found 1 not_found not_found]",
		send(gil, users.ID, "n", "hi"), send(gil, ours.ID, "n", "hi"), send(ada, ours.ID, "n", "hi"), send(staff, ours.ID, "n", "hi"), send(ada, users.ID, "n", "hi"),
		send(staff, gone.ID, "n", "hi"), send(gil, open.ID, "n", "hi"), send(staff, 1<<40, "n", "hi"), stranger)
	p.want(t, "[bad_request bad_request bad_request bad_request too_large not_found bad_request bad_request]",
		send(ada, open.ID, "n", " \n"), send(ada, open.ID, "n", "a\x00b"), send(ada, open.ID, "n", "\xff"), send(ada, open.ID, strings.Repeat("n", 65), "hi"),
		send(ada, open.ID, "n", strings.Repeat("x", chat.MaxBodyBytes+1)), reply(ada, open.ID, "n", "hi", -1), ledger.Entry{Tenant: tenant, Author: ada, Room: open.ID, Kind: "shout", Request: operation.Request{Nonce: "n", Body: "hi"}},
		withNonce(edit(ada, open.ID, 1, "x"), "a\x00"))
	// All the same, to the letter, for a hidden room, a deleted one and none.
	texts := map[string]bool{}
	for _, o := range p.ledger.Append(t.Context(), []ledger.Entry{send(gil, ours.ID, "q", "x"), send(gil, gone.ID, "q", "x"), send(gil, 1<<41, "q", "x")}) {
		texts[o.Err.Error()] = true
	}
	if len(texts) != 1 {
		t.Error(texts)
	}
}

func testPoison(t *testing.T, b Backend) {
	p := newPod(t, b.Open(t))
	r, other := p.room(t, "one"), p.room(t, "two")
	b.Poison(t, "poison")
	p.want(t, "[1 bad_request 2 1 3]",
		send(ada, r.ID, "1", "a"), send(ada, r.ID, "2", "poison"), send(ada, r.ID, "3", "b"), send(ada, other.ID, "1", "c"), reply(ada, r.ID, "4", "d", 2))
	p.want(t, "[bad_request]", send(ada, r.ID, "2", "poison"))
	p.want(t, "[4]", send(ada, r.ID, "2", "cured")) // its nonce was not spent
	p.log(t, r.ID)
}

// testPods has several pods append to the same rooms with the same nonces at once.
func testPods(t *testing.T, b Backend) {
	const nonces, authors = 25, 3
	pods := []pod{newPod(t, b.Open(t)), newPod(t, b.Open(t))}
	rooms := []ledger.Room{pods[0].room(t, "one"), pods[0].room(t, "two"), pods[0].room(t, "three")}
	var mu sync.Mutex
	got := map[string]map[string]bool{} // the answers that each nonce got
	var wg sync.WaitGroup
	for _, p := range pods {
		for worker := range authors * 2 {
			wg.Go(func() {
				author := chat.User{ID: chat.UserID(fmt.Sprint("u", worker%authors)), Name: "U", Kind: chat.KindUser}
				for n := range nonces {
					var batch []ledger.Entry
					for i := range rooms {
						room := rooms[(i+worker)%len(rooms)].ID // not ascending: the store must see to that
						batch = append(batch, send(author, room, fmt.Sprint("n", n), fmt.Sprint("body ", n)))
					}
					outcomes := p.append(t, batch...)
					mu.Lock()
					for i, o := range outcomes {
						key := fmt.Sprint(batch[i].Room, author.ID, n)
						if got[key] == nil {
							got[key] = map[string]bool{}
						}
						got[key][o] = true
					}
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	for key, answers := range got {
		for answer := range answers {
			if len(answers) != 1 || !strings.ContainsAny(answer[:1], "123456789") {
				t.Fatalf("%s was answered %v", key, answers)
			}
		}
	}
	for _, room := range rooms {
		if entries := pods[1].log(t, room.ID); len(entries) != nonces*authors {
			t.Errorf("room %s has %d entries, want %d", room.Slug, len(entries), nonces*authors)
		}
		for _, p := range pods { // each pod's own come in order
			if s := p.bus.streams[room.Log]; !slices.IsSortedFunc(s, func(a, b entry) int { return int(a.Seq - b.Seq) }) {
				t.Error("published out of order")
			}
		}
	}
}
