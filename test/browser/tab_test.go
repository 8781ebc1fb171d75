package browser_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	cdpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/parley-chat/parley/test/servertest"
)

// browser is the one Chromium of all tests, which the first of them starts; TestMain ends it.
var browser = sync.OnceValues(startBrowser)

func TestMain(m *testing.M) {
	status := m.Run()
	stopBrowser()
	os.Exit(status)
}

var stopBrowser = func() {}

func startBrowser() (context.Context, error) {
	path, err := chromium()
	if err != nil {
		return nil, err
	}
	flags := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.Headless, chromedp.WindowSize(1200, 900),
	}
	for _, flag := range []string{
		"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage",
		"disable-background-timer-throttling", "disable-backgrounding-occluded-windows", "disable-renderer-backgrounding",
	} {
		flags = append(flags, chromedp.Flag(flag, true))
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), flags...)
	ctx, _ := chromedp.NewContext(allocator)
	stopBrowser = func() {
		_ = chromedp.Cancel(ctx) // waits, and removes the profile
		stop()
	}
	if err := chromedp.Do(ctx); err != nil {
		return nil, fmt.Errorf("start the browser: %w", err)
	}
	return ctx, nil
}

// tab is a page with a profile of its own, and everything that came to it by the network.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu      sync.Mutex
	heard   []string                     // answers and frames
	pending map[network.RequestID]string // requests whose body is still to be read
	errors  []string                     // uncaught ones
	sockets int                          // that were opened
}

// browse opens the page of s as a browser that was never there. Scripts run before those of the page, at each load.
func browse(t *testing.T, s *servertest.Server, scripts ...string) *tab {
	t.Helper()
	running, err := browser()
	if err != nil {
		t.Fatal(err)
	}
	ctx, closeTab := chromedp.NewContext(running, chromedp.WithNewBrowserContext())
	t.Cleanup(closeTab)
	b := &tab{t: t, ctx: ctx, pending: map[network.RequestID]string{}}
	if err := chromedp.Do(ctx); err != nil { // without a time limit, which would be the tab's
		t.Fatal("open a tab: ", err)
	}
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{})
		for _, script := range scripts {
			_, failed := cdp.Call(ctx, target, cdpage.AddScriptToEvaluateOnNewDocument, cdpage.AddScriptToEvaluateOnNewDocumentParams{Source: script})
			err = errors.Join(err, failed)
		}
		return err
	}), chromedp.Navigate(s.URL))
	return b
}

func chromium() (string, error) {
	if path := os.Getenv("PARLEY_TEST_CHROMIUM"); path != "" {
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no Chromium on PATH nor in PARLEY_TEST_CHROMIUM; make test installs it on Debian")
}

// note keeps what came by the network. It must not call the browser.
func (b *tab) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventWebSocketCreated:
		b.sockets++
	case *network.EventWebSocketFrameReceived:
		b.heard = append(b.heard, string(e.Response.PayloadData))
	case *network.EventResponseReceived:
		headers, _ := json.Marshal(e.Response.Headers)
		b.heard = append(b.heard, e.Response.URL+" "+string(headers))
		if strings.Contains(e.Response.URL, "/api/") {
			b.pending[e.RequestID] = e.Response.URL
		}
	case *runtime.EventExceptionThrown:
		thrown := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			thrown += " " + e.ExceptionDetails.Exception.Description
		}
		b.errors = append(b.errors, thrown)
	}
}

// everything returns all that came to this browser: frames, answers with their bodies, and the page.
func (b *tab) everything() string {
	b.t.Helper()
	b.mu.Lock()
	pending := b.pending
	b.pending = map[network.RequestID]string{}
	b.mu.Unlock()
	for id, url := range pending {
		b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			body, err := cdp.Call(ctx, target, network.GetResponseBody, network.GetResponseBodyParams{RequestID: id})
			b.mu.Lock()
			defer b.mu.Unlock()
			b.heard = append(b.heard, fmt.Sprint(url, " ", string(body.Body), " ", err))
			return nil
		}))
	}
	page := b.text(`document.documentElement.outerHTML`)
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(append(b.heard, page), "\n")
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// text evaluates an expression that is a text.
func (b *tab) text(expression string) string {
	b.t.Helper()
	result, err := b.evaluate(expression)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return result
}

func (b *tab) evaluate(expression string) (string, error) {
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[string]("String("+expression+")"))
}

// until waits until an expression is true, in whatever document the tab then shows.
func (b *tab) until(expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; servertest.Pause(b.t, 20*time.Millisecond) {
		result, err := b.evaluate(expression)
		if result == "true" {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("never: %s; %v; the page says:\n%s\n%v", expression, err, b.text(`document.body.innerText`), b.uncaught())
		}
	}
}

// uncaught are the errors that the page did not catch.
func (b *tab) uncaught() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.errors)
}

// click clicks with the mouse. An element that the page takes out between being looked up and being
// clicked is looked up again, as a person would.
func (b *tab) click(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	for {
		err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(selector)))
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "Could not find node with given id") {
			b.t.Fatalf("click %s: %v", selector, err)
		}
		servertest.Pause(b.t, 20*time.Millisecond)
	}
}

// fill types a text into a field in one go, at the end of what stands there.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.until(`(() => { const field = document.querySelector(` + servertest.Quoted(selector) + `); field?.focus(); return field !== null && document.activeElement === field })()`)
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, input.InsertText, input.InsertTextParams{Text: text})
		return err
	}))
}

// put sets the text of a field, as a script or a paste does.
func (b *tab) put(selector, text string) {
	b.t.Helper()
	b.until(`document.querySelector(` + servertest.Quoted(selector) + `) !== null`)
	b.text(`(() => {
		const field = document.querySelector(` + servertest.Quoted(selector) + `);
		field.value = ` + jsonOf(text) + `;
		field.dispatchEvent(new Event('input', {bubbles: true}));
	})()`)
}

func (b *tab) signUp(name string) {
	b.t.Helper()
	b.until(`document.body.dataset.view === 'entry'`)
	b.click(`[data-show=signup]`)
	b.fill(`#signup-form [name=username]`, name)
	b.fill(`#signup-form [name=password]`, "correct horse staple")
	b.click(`#signup-form button.primary`)
	b.online()
}

// enter makes an account by the form, without keys and mouse.
func (b *tab) enter(name string) {
	b.t.Helper()
	b.until(`document.body.dataset.view === 'entry'`)
	b.text(`(() => {
		const form = document.querySelector('#signup-form');
		form.elements.username.value = ` + servertest.Quoted(name) + `;
		form.elements.password.value = 'correct horse staple';
		form.requestSubmit();
	})()`)
	b.online()
}

func (b *tab) online() {
	b.t.Helper()
	b.until(`document.querySelector('#connection-state').dataset.state === 'online'`)
}

// open opens a room, or shows it again.
func (b *tab) open(slug string) {
	b.t.Helper()
	shown := `document.querySelector('[data-open-room="` + slug + `"]')?.hidden === false`
	if b.text(shown) == "true" {
		return
	}
	// Not with the mouse: rooms that come and go move the list under it.
	b.until(`(() => { const room = document.querySelector('[data-room="` + slug + `"] .room-open'); room?.click(); return Boolean(room) })()`)
	b.until(shown)
}

// say writes into the room that is shown.
func (b *tab) say(slug, text string) {
	b.t.Helper()
	b.open(slug)
	b.fill(`[data-open-room="`+slug+`"] .composer textarea`, text)
	b.click(`[data-open-room="` + slug + `"] .composer .send`)
}

// message is a JavaScript expression for the messages of a room with a text, as a list.
func messages(slug, text string) string {
	return `[...document.querySelectorAll('[data-open-room="` + slug + `"] .messages [data-message-id]')].filter(m => m.querySelector('.body')?.textContent === ` + servertest.Quoted(text) + `)`
}

// shows waits until a text stands in a room, once.
func (b *tab) shows(slug, text string) {
	b.t.Helper()
	b.until(messages(slug, text) + `.length === 1`)
}

// press clicks a button of the message with that text.
func (b *tab) press(slug, text, button string) {
	b.t.Helper()
	b.until(`(() => { const b = ` + messages(slug, text) + `[0]?.querySelector(` + servertest.Quoted(button) + `); b?.click(); return Boolean(b) })()`)
}

func jsonOf(v any) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(out.String())
}
