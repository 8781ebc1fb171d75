package browser_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/servertest"
)

// stage is a room of its own on a server that many tests share, and root, who talks there by HTTP.
type stage struct {
	*servertest.Server

	t     *testing.T
	slug  string
	staff string // root's token
}

// The page in a real browser, on inputs that it once failed on.
func TestPage(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir())
	root, err := s.API.Login(t.Context(), servertest.AdminName, servertest.AdminPassword)
	if err != nil {
		t.Fatal(err)
	}
	for slug, check := range map[string]func(*stage){
		"replies": quotesAndTheReplyBarFollowTheMessage,
		"compose": anInputMethodsEnterSendsAndSavesNothing,
		"escapes": aBodyOfEscapesHarmsNothingElse,
		"drafts":  draftsComeBack,
		"bidi":    textsOfUsersAreIsolated,
		"denied":  thePageWorksWithoutStorage,
		"days":    theDaysAreNamedAnewAtMidnight,
	} {
		t.Run(slug, func(t *testing.T) {
			t.Parallel()
			p := &stage{Server: s, t: t, slug: slug, staff: root.AccessToken}
			if _, err := s.API.CreateRoom(t.Context(), p.staff, client.NewRoom{Slug: chat.Slug(slug), Name: "Room " + slug}); err != nil {
				t.Fatal(err)
			}
			check(p)
		})
	}
}

// say sends as root.
func (p *stage) say(body string, replyTo chat.Seq) chat.Message {
	p.t.Helper()
	message, err := p.API.Send(p.t.Context(), p.staff, chat.Slug(p.slug), client.Outgoing{Body: body, ReplyTo: replyTo})
	if err != nil {
		p.t.Fatal(err)
	}
	return message
}

// visit opens the page as a new user, in the room.
func (p *stage) visit(name string, scripts ...string) *tab {
	p.t.Helper()
	b := browse(p.t, p.Server, scripts...)
	b.enter(name)
	b.open(p.slug)
	b.t.Cleanup(func() {
		if errs := b.uncaught(); len(errs) > 0 {
			b.t.Errorf("uncaught: %v", errs)
		}
	})
	return b
}

// in is a selector within the room's panel.
func (p *stage) in(selector string) string {
	return `[data-open-room="` + p.slug + `"] ` + selector
}

// texts is an expression for the texts of all that a selector finds in the room, as JSON.
func (p *stage) texts(selector string) string {
	return `JSON.stringify([...document.querySelectorAll(` + servertest.Quoted(p.in(selector)) + `)].map(e => e.textContent))`
}

// sees waits until a selector finds these texts in the room.
func (p *stage) sees(b *tab, selector string, texts ...string) {
	p.t.Helper()
	b.until(p.texts(selector) + ` === ` + servertest.Quoted(jsonOf(append([]string{}, texts...))))
}

func quotesAndTheReplyBarFollowTheMessage(p *stage) {
	b := p.visit("carol")
	first := p.say("secret", 0)
	p.say("an answer", first.ID)
	p.say("another", first.ID)
	b.shows(p.slug, "another")
	b.press(p.slug, "secret", ".act-reply")
	shows := func(text string) {
		p.t.Helper()
		p.sees(b, ".quote", "In reply to "+text, "In reply to "+text)
		p.sees(b, ".reply:not([hidden]) span", "Reply to "+text)
	}
	shows("root: secret")
	if _, err := p.API.Edit(p.t.Context(), p.staff, chat.Slug(p.slug), first.ID, "harmless", ""); err != nil {
		p.t.Fatal(err)
	}
	shows("root: harmless")
	if _, err := p.API.Delete(p.t.Context(), p.staff, chat.Slug(p.slug), first.ID); err != nil {
		p.t.Fatal(err)
	}
	shows("a deleted message")
	if strings.Contains(b.text(`document.body.textContent`), "secret") {
		p.t.Error("the text of before still stands somewhere")
	}
}

// key is an expression that presses a key in a field, as Safari reports one of an input method: the
// composition has ended, and only the code (229) tells.
func key(selector, name string, code int) string {
	return fmt.Sprintf(`(() => {
		const field = document.querySelector(%q);
		field.dispatchEvent(new CompositionEvent('compositionend', {bubbles: true, data: field.value}));
		field.dispatchEvent(new KeyboardEvent('keydown', {key: %q, isComposing: false, keyCode: %d, bubbles: true, cancelable: true}));
		return field.isConnected && !field.readOnly && field.value;
	})()`, selector, name, code)
}

func anInputMethodsEnterSendsAndSavesNothing(p *stage) {
	b := p.visit("dai")
	composer, field := p.in(".composer textarea"), p.in(".messages textarea")
	b.put(composer, "日本")
	for _, name := range []string{"Enter", "Escape"} {
		if got := b.text(key(composer, name, 229)); got != "日本" {
			p.t.Errorf("%s: the composer has %q", name, got)
		}
	}
	if got := b.text(p.texts(".pending li")); got != "[]" {
		p.t.Errorf("sent: %s", got)
	}
	b.text(key(composer, "Enter", 13))
	b.shows(p.slug, "日本")

	b.press(p.slug, "日本", ".act-edit")
	b.put(field, "日本語")
	for _, name := range []string{"Enter", "Escape"} {
		if got := b.text(key(field, name, 229)); got != "日本語" {
			p.t.Errorf("%s: the edit field has %q", name, got)
		}
	}
	b.text(key(field, "Enter", 13))
	b.shows(p.slug, "日本語")
}

// The body is as large as limits.Body allows, and six times as large as JSON.
func aBodyOfEscapesHarmsNothingElse(p *stage) {
	b := p.visit("eve")
	body := strings.Repeat("\x1b", 16<<10)
	b.put(p.in(".composer textarea"), body)
	b.click(p.in(".composer .send"))
	b.say(p.slug, "and then")
	b.shows(p.slug, "and then")
	p.say("from elsewhere", 0)
	b.shows(p.slug, "from elsewhere")
	shown := b.text(`[...document.querySelectorAll(` + servertest.Quoted(p.in("[data-message-id] .body")+","+p.in("[data-state=failed] .body")) + `)].filter(e => e.textContent === '\u001b'.repeat(16384)).length`)
	b.mu.Lock()
	defer b.mu.Unlock()
	if shown != "1" || b.sockets != 1 {
		p.t.Errorf("the body is shown %s times, sent or refused, after %d connections; want 1 and 1", shown, b.sockets)
	}
}

func draftsComeBack(p *stage) {
	asked := p.say("a question", 0)
	b := p.visit("fay")
	b.say(p.slug, "mine")
	b.shows(p.slug, "mine")
	draft := strings.Repeat("draft ", 334)[:2000]
	b.press(p.slug, asked.Body, ".act-reply")
	b.put(p.in(".composer textarea"), draft)
	b.press(p.slug, "mine", ".act-edit")
	b.put(p.in(".messages textarea"), "mine, edited")
	composer := `document.querySelector(` + servertest.Quoted(p.in(".composer textarea")) + `)?.value`
	isBack := func(when string) {
		p.t.Helper()
		p.sees(b, ".reply:not([hidden]) span", "Reply to root: a question")
		edit := `document.querySelector(` + servertest.Quoted(p.in(".messages textarea")) + `)?.value`
		b.until(composer + ` === ` + servertest.Quoted(draft) + ` && ` + edit + ` === 'mine, edited'`)
		if height := b.text(`document.querySelector(` + servertest.Quoted(p.in(".composer textarea")) + `).clientHeight > 60`); height != "true" {
			p.t.Error(when, "the draft is cut off")
		}
	}
	b.text(`location.reload()`)
	isBack("after a reload")
	b.click(p.in(".room-leave"))
	b.until(`document.querySelector('[data-open-room]') === null`)
	b.open(p.slug)
	isBack("after leaving")

	// The session ends from elsewhere; somebody else uses the browser in between.
	fay, err := p.API.Login(p.t.Context(), "fay", "correct horse staple")
	if err != nil {
		p.t.Fatal(err)
	}
	reset := p.Call(p.t, http.MethodPatch, "/api/auth/users/"+string(fay.User.ID), p.staff, `{"password":"another long password"}`)
	if reset.Status != http.StatusOK {
		p.t.Fatal(reset)
	}
	b.until(`document.body.dataset.view === 'entry'`)
	b.enter("gus")
	b.open(p.slug)
	p.sees(b, ".reply:not([hidden])")
	if got := b.text(composer); got != "" {
		p.t.Errorf("somebody else is shown %q", got)
	}
	b.click(`#sign-out`)
	b.until(`document.body.dataset.view === 'entry'`)
	b.put(`#signin-form [name=username]`, "fay")
	b.put(`#signin-form [name=password]`, "another long password")
	b.click(`#signin-form .primary`)
	b.online()
	b.open(p.slug)
	isBack("after signing in again")

	b.click(p.in(".composer .send"))
	b.shows(p.slug, draft)
	b.text(`document.querySelector(` + servertest.Quoted(p.in(".act-save")) + `).click()`)
	b.shows(p.slug, "mine, edited")
	b.until(`Object.keys(localStorage).filter(key => key.startsWith('parley.draft')).length === 0`)
}
