package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is a real browser with a profile of its own, and everything that came to it by the network.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu      sync.Mutex
	heard   []string                     // answers and frames
	pending map[network.RequestID]string // requests whose body is still to be read
	errors  []string                     // uncaught ones
}

// browse opens a browser at the page of s.
func browse(t *testing.T, s *server) *tab {
	t.Helper()
	flags := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Headless, chromedp.WindowSize(1200, 900),
	}
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage"} {
		flags = append(flags, chromedp.Flag(flag, true))
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(), flags...)
	ctx, closeTab := chromedp.NewContext(allocator)
	b := &tab{t: t, ctx: ctx, pending: map[network.RequestID]string{}}
	t.Cleanup(func() {
		closeTab()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil { // without a time limit, which would be the browser's
		t.Fatal("start the browser: ", err)
	}
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{})
		return err
	}), chromedp.Navigate(s.url))
	return b
}

func chromium(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("PARLEY_TEST_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no Chromium on PATH nor in PARLEY_TEST_CHROMIUM; make test installs it on Debian")
	return ""
}

// note keeps what came by the network. It must not call the browser.
func (b *tab) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventWebSocketFrameReceived:
		b.heard = append(b.heard, string(e.Response.PayloadData))
	case *network.EventResponseReceived:
		headers, _ := json.Marshal(e.Response.Headers)
		b.heard = append(b.heard, e.Response.URL+" "+string(headers))
		if strings.Contains(e.Response.URL, "/api/") {
			b.pending[e.RequestID] = e.Response.URL
		}
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, fmt.Sprint(e.ExceptionDetails.Text, " ", e.ExceptionDetails.Exception))
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
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return result
}

// until waits until an expression is true.
func (b *tab) until(expression string) {
	b.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for b.text(expression) != "true" {
		if time.Now().After(deadline) {
			b.t.Fatalf("never: %s; the page says:\n%s\n%v", expression, b.text(`document.body.innerText`), b.errors)
		}
		pause(b.t, 50*time.Millisecond)
	}
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
		pause(b.t, 20*time.Millisecond)
	}
}

func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text))
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

func (b *tab) online() {
	b.t.Helper()
	b.until(`document.querySelector('#connection-state').dataset.state === 'online'`)
}

// open opens a room, or shows it again.
func (b *tab) open(slug string) {
	b.t.Helper()
	b.click(`[data-room="` + slug + `"] .room-open`)
	b.until(`document.querySelector('[data-open-room="` + slug + `"]')?.hidden === false`)
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
	return `[...document.querySelectorAll('[data-open-room="` + slug + `"] .messages [data-message-id]')].filter(m => m.querySelector('.body')?.textContent === ` + quoted(text) + `)`
}

// shows waits until a text stands in a room, once.
func (b *tab) shows(slug, text string) {
	b.t.Helper()
	b.until(messages(slug, text) + `.length === 1`)
}

// press clicks a button of the message with that text.
func (b *tab) press(slug, text, button string) {
	b.t.Helper()
	b.until(`(() => { const b = ` + messages(slug, text) + `[0]?.querySelector(` + quoted(button) + `); b?.click(); return Boolean(b) })()`)
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
