package browser_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/servertest"
)

// Two people in real browsers talk in two rooms; a third, who is not staff, is refused the staff room
// and never sees its name; the server is restarted under them and nobody sees a message twice.
func TestBrowsersTalk(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := servertest.Serve(t, data)
	staff, err := s.API.Login(t.Context(), servertest.AdminName, servertest.AdminPassword)
	if err != nil {
		t.Fatal(err)
	}
	secret := func(room client.NewRoom) {
		t.Helper()
		if _, err := s.API.CreateRoom(t.Context(), staff.AccessToken, room); err != nil {
			t.Fatal(err)
		}
		if _, err := s.API.Send(t.Context(), staff.AccessToken, room.Slug, client.Outgoing{Body: "the plans of the warroom"}); err != nil {
			t.Fatal(err)
		}
	}
	secret(client.NewRoom{Slug: "warroom", Name: "The Warroom", Description: "warroom", StaffOnly: true})
	if _, err := s.API.CreateRoom(t.Context(), staff.AccessToken, client.NewRoom{Slug: "tea", Name: "Tea"}); err != nil {
		t.Fatal(err)
	}

	alice, bob, carol := browse(t, s), browse(t, s), browse(t, s)
	alice.signUp("alice")
	bob.enter("bob")
	carol.enter("carol")
	for _, b := range []*tab{alice, bob} {
		b.open("tea")
		b.open("general")
	}
	alice.say("general", "hello, here is alice")
	bob.shows("general", "hello, here is alice")
	bob.say("general", "<b>hello</b> & welcome")
	alice.shows("general", "<b>hello</b> & welcome")
	bob.say("tea", "a cup, anyone?")
	alice.open("tea")
	alice.shows("tea", "a cup, anyone?")
	alice.say("tea", "with milk")
	bob.shows("tea", "with milk")

	// Edits and deletes show at the other's.
	alice.press("tea", "with milk", ".act-edit")
	alice.until(`document.querySelector('[data-open-room="tea"] .messages textarea') !== null`)
	alice.fill(`[data-open-room="tea"] .messages textarea`, ", please")
	alice.click(`[data-open-room="tea"] .messages .act-save`)
	bob.shows("tea", "with milk, please")
	bob.press("tea", "a cup, anyone?", ".act-delete")
	bob.press("tea", "a cup, anyone?", ".act-delete") // really
	alice.until(messages("tea", "a cup, anyone?") + `.length === 0 && document.querySelectorAll('[data-open-room="tea"] [data-deleted]').length === 1`)

	// What carol may not know of. One more such room comes while she is here.
	carol.open("general")
	secret(client.NewRoom{Slug: "warroom-two", Name: "Another Warroom", StaffOnly: true})
	carol.fill(`#room-search`, "war")
	if got := carol.fetch("/api/rooms/" + "war" + "room/messages"); got != carol.fetch("/api/rooms/"+"no-such-room/messages") || !strings.HasPrefix(got, "404") {
		t.Errorf("the staff room's history: %s", got)
	}
	if got := carol.join("war" + "room"); got != carol.join("no-such-room") || !strings.Contains(got, "not_found") {
		t.Errorf("the staff room: %s", got)
	}
	alice.say("general", "carol, do you see this?")
	carol.shows("general", "carol, do you see this?")
	everything := carol.everything()
	for line := range strings.SplitSeq(everything, "\n") {
		// Her own two questions carry the name; no answer does.
		if strings.Contains(strings.ToLower(strings.ReplaceAll(line, "/api/rooms/warroom/messages", "")), "warroom") {
			t.Errorf("carol was told: %.300s", line)
		}
	}
	if !strings.Contains(everything, "carol, do you see this?") || !strings.Contains(everything, `"type":"joined"`) {
		t.Error("the test does not see what comes to a browser")
	}

	// The same server again, at the same address.
	s.Stop()
	for _, b := range []*tab{alice, bob} {
		b.until(`document.querySelector('#connection-state').dataset.state !== 'online'`)
	}
	s = servertest.Serve(t, data, "PARLEY_LISTEN="+strings.TrimPrefix(s.URL, "http://"))
	for _, b := range []*tab{alice, bob} {
		b.text(`dispatchEvent(new Event('online'))`) // cuts short the wait for the next try
		b.online()
	}
	alice.say("general", "back again")
	bob.shows("general", "back again")
	bob.say("tea", "still warm")
	alice.shows("tea", "still warm")
	for name, b := range map[string]*tab{"alice": alice, "bob": bob} {
		for slug, texts := range map[string][]string{
			"general": {"hello, here is alice", "<b>hello</b> & welcome", "carol, do you see this?", "back again"},
			"tea":     {"This message was deleted.", "with milk, please", "still warm"},
		} {
			got := b.text(`JSON.stringify([...document.querySelectorAll('[data-open-room="` + slug + `"] .messages [data-message-id] .body')].map(m => m.textContent))`)
			if want := jsonOf(texts); got != want {
				t.Errorf("%s sees in %s %s, want %s", name, slug, got, want)
			}
		}
		if errs := b.uncaught(); len(errs) > 0 {
			t.Errorf("%s: uncaught: %v", name, errs)
		}
	}
}

// fetch makes a call from within the page and returns status and body.
func (b *tab) fetch(path string) string {
	b.t.Helper()
	b.text(`(() => { window.answer = undefined; fetch(` + servertest.Quoted(path) + `).then(async r => { window.answer = r.status + ' ' + await r.text() }) })()`)
	b.until(`window.answer !== undefined`)
	return b.text(`window.answer`)
}

// join asks for a room on a socket of its own from within the page and returns the answer.
func (b *tab) join(slug string) string {
	b.t.Helper()
	b.text(fmt.Sprintf(`(() => {
		window.answer = undefined;
		const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws');
		socket.onmessage = e => {
			const frame = JSON.parse(e.data);
			if (frame.type === 'hello') socket.send(JSON.stringify({type: 'join', id: 1, room: %q}));
			if (frame.id === 1) { window.answer = e.data; socket.close(); }
		};
	})()`, slug))
	b.until(`window.answer !== undefined`)
	return b.text(`window.answer`)
}
