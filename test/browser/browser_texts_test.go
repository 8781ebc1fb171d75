package browser_test

import (
	"net/http"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/servertest"
)

// strays lists where a text of a user stands in the page without an element of its own that isolates it.
func (b *tab) strays(texts ...string) string {
	b.t.Helper()
	return b.text(`(() => {
		const texts = ` + jsonOf(texts) + `, strays = [];
		const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		for (let node; (node = walk.nextNode()); ) {
			const text = texts.find(t => node.data.includes(t));
			const box = node.parentElement.closest('bdi, [dir=auto]');
			if (text && box?.textContent !== text) strays.push(node.parentElement.outerHTML);
		}
		return strays.join('\n');
	})()`)
}

// Text that runs from right to left, or turns what stands around it, keeps to itself wherever it stands.
func textsOfUsersAreIsolated(p *stage) {
	const me, other, override, arabic, room = "אבג 12", "דהו 3", "\u202eabc (1)", "مرحبا (2)", "חדר 7"
	name, description := room, "על 9"
	if _, err := p.API.UpdateRoom(p.t.Context(), p.staff, chat.Slug(p.slug), client.RoomChange{Name: &name, Description: &description}); err != nil {
		p.t.Fatal(err)
	}
	writer, err := p.API.Signup(p.t.Context(), other, "correct horse staple")
	if err != nil {
		p.t.Fatal(err)
	}
	b := p.visit(me)
	message, err := p.API.Send(p.t.Context(), writer.AccessToken, chat.Slug(p.slug), client.Outgoing{Body: override})
	if err != nil {
		p.t.Fatal(err)
	}
	p.say("an answer", message.ID)
	b.put(p.in(".composer textarea"), arabic)
	b.click(p.in(".composer .send"))
	b.shows(p.slug, arabic)
	b.shows(p.slug, "an answer")
	b.press(p.slug, override, ".act-reply")
	b.click(p.in(".people-toggle"))
	socket := servertest.SignedIn(p.t, p.Server, writer.AccessToken)
	socket.Write(`{"type":"join","id":1,"room":"` + p.slug + `"}`)
	socket.Answer(1)
	socket.Write(`{"type":"typing","room":"` + p.slug + `"}`)

	// Each place where such a text stands; then none of them may stray.
	p.sees(b, ".typing bdi", other)
	p.sees(b, ".reply bdi", other, override)
	p.sees(b, ".quote bdi", other, override)
	p.sees(b, ".author bdi", other, "root")
	p.sees(b, ".room-head bdi", room, "על 9")
	p.sees(b, ".people .user-name bdi", me, other)
	b.until(`document.querySelector('[data-room="` + p.slug + `"] .room-name bdi')?.textContent === ` + servertest.Quoted(room))
	b.until(`document.querySelector('bdi[data-user-name]')?.textContent === ` + servertest.Quoted(me))
	if strays := b.strays(me, other, override, arabic, room, "על 9"); strays != "" {
		p.t.Error("not isolated:\n", strays)
	}

	b.press(p.slug, arabic, ".act-edit")
	b.until(`getComputedStyle(document.querySelector(` + servertest.Quoted(p.in(".messages textarea")) + `)).direction === 'rtl'`)
	if deleted := p.Call(p.t, http.MethodDelete, "/api/rooms/"+p.slug, p.staff, ""); deleted.Status != http.StatusNoContent {
		p.t.Fatal(deleted)
	}
	b.until(`document.querySelector('.toast bdi')?.textContent === ` + servertest.Quoted(room))
}

// Browsers whose users block cookies and site data throw as soon as a page looks at its storage.
func thePageWorksWithoutStorage(p *stage) {
	b := p.visit("hal", `for (const name of ['localStorage', 'sessionStorage'])
		Object.defineProperty(window, name, {get() { throw new DOMException('denied', 'SecurityError') }});`)
	b.say(p.slug, "hello")
	b.shows(p.slug, "hello")
	b.put(p.in(".composer textarea"), "not sent yet")
	b.click(p.in(".room-leave"))
	b.until(`document.querySelector('[data-open-room]') === null`)
	b.open(p.slug)
	b.until(`document.querySelector(` + servertest.Quoted(p.in(".composer textarea")) + `).value === 'not sent yet'`)
	b.click(`#sign-out`)
	b.until(`document.body.dataset.view === 'entry'`)
	if said := b.text(`document.querySelector('#entry-error').textContent`); said != "" {
		p.t.Error(said)
	}
	b.text(`document.body.remove()`) // of the page that is left
	b.text(`location.reload()`)
	b.until(`document.body?.dataset.view === 'entry'`) // the server knows of it: the cookie opens nothing any more
}

// pageClock gives the page a clock of its own, a minute before midnight, which moves when it is told
// to, together with the server's times. Timers go off by either clock.
const pageClock = `(() => {
	const real = {Date, setTimeout: setTimeout.bind(window), clearTimeout: clearTimeout.bind(window), parse: JSON.parse};
	let now = new real.Date().setHours(23, 59, 0, 0);
	window.Date = class extends real.Date {
		constructor(...args) { super(...(args.length ? args : [now])) }
		static now() { return now }
	};
	JSON.parse = text => real.parse(text, (key, value) => key === 'sent_at' ? new real.Date(now).toISOString() : value);
	const timers = new Map();
	window.setTimeout = (run, ms = 0) => {
		const id = real.setTimeout(() => { timers.delete(id); run() }, ms);
		timers.set(id, {run, at: now + ms});
		return id;
	};
	window.clearTimeout = id => { timers.delete(id); real.clearTimeout(id) };
	window.advance = ms => {
		now += ms;
		for (const [id, {run, at}] of [...timers]) if (at <= now && timers.has(id)) { clearTimeout(id); run() }
	};
})()`

func theDaysAreNamedAnewAtMidnight(p *stage) {
	b := p.visit("ida", pageClock)
	p.say("before", 0)
	b.shows(p.slug, "before")
	p.sees(b, ".day:not([hidden])", "Today")
	b.text(`advance(120_000)`)
	p.sees(b, ".day:not([hidden])", "Yesterday")
	p.say("after", 0)
	b.shows(p.slug, "after")
	p.sees(b, ".day:not([hidden])", "Yesterday", "Today")
}
