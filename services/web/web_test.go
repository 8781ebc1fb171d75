package web

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/webapi"
)

func app(t *testing.T) *fiber.App {
	t.Helper()
	service, err := New()
	if err != nil {
		t.Fatal(err)
	}
	app := webapi.New(webapi.Options{Service: "web", Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	service.Routes(app)
	return app
}

func get(t *testing.T, app *fiber.App, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := app.Test(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestFilesAreServedWithTheirTypeAndGuardedByHeaders(t *testing.T) {
	app := app(t)
	kinds := map[string]string{
		"/": "text/html; charset=utf-8", "/index.html": "text/html; charset=utf-8", "/style.css": "text/css; charset=utf-8",
		"/parley.js": "text/javascript; charset=utf-8", "/parley/room.js": "text/javascript; charset=utf-8",
		"/parley.d.ts": "text/plain; charset=utf-8", "/favicon.svg": "image/svg+xml",
	}
	headers := map[string]string{
		"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Content-Security-Policy": policy,
	}
	for path, kind := range kinds {
		response, body := get(t, app, path)
		if response.StatusCode != http.StatusOK || body == "" {
			t.Errorf("%s: status %d, %d bytes", path, response.StatusCode, len(body))
		}
		if got := response.Header.Get("Content-Type"); got != kind {
			t.Errorf("%s: type %q, want %q", path, got, kind)
		}
		for name, want := range headers {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestAnUnchangedFileIsNotSentAgain(t *testing.T) {
	app := app(t)
	first, _ := get(t, app, "/app.js")
	tag := first.Header.Get("ETag")
	if !strings.HasPrefix(tag, `"`) || len(tag) < 20 {
		t.Fatalf("%q is no strong tag", tag)
	}
	for _, match := range []string{tag, "W/" + tag, `"other", ` + tag} {
		response, body := get(t, app, "/app.js", "If-None-Match", match)
		if response.StatusCode != http.StatusNotModified || body != "" || response.Header.Get("ETag") != tag {
			t.Errorf("%s: status %d, %d bytes, tag %s", match, response.StatusCode, len(body), response.Header.Get("ETag"))
		}
	}
	for _, path := range []string{"/app.js", "/chat.js"} {
		if response, _ := get(t, app, path, "If-None-Match", `"other"`); response.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d for a stale copy", path, response.StatusCode)
		}
	}
	if other, _ := get(t, app, "/chat.js", "If-None-Match", tag); other.StatusCode != http.StatusOK {
		t.Error("another file's tag is taken for one's own")
	}
}

func TestWhatIsNotThereIsSaidInTheErrorForm(t *testing.T) {
	app := app(t)
	for _, path := range []string{"/nothing.js", "/assets/app.js", "/parley/", "/../web.go", "/%2e%2e/web.go"} {
		response, body := get(t, app, path)
		var failure webapi.Failure
		if err := json.Unmarshal([]byte(body), &failure); err != nil || response.StatusCode != http.StatusNotFound || failure.Error.Code != "not_found" {
			t.Errorf("%s: status %d, %s", path, response.StatusCode, body)
		}
	}
}

// The policy forbids all of this, so that a slip would show as a page that does not work.
func TestThePageHasNoInlineCode(t *testing.T) {
	_, body := get(t, app(t), "/")
	if !strings.Contains(body, `<script type="module" src="app.js"></script>`) || strings.Count(body, "<script") != 1 {
		t.Error("the page's one script is app.js")
	}
	inline := regexp.MustCompile(`(?i)<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:|https?://`)
	if found := inline.FindString(body); found != "" {
		t.Errorf("the page has %q", found)
	}
}

func TestEveryFileThatThePageNamesIsThere(t *testing.T) {
	app := app(t)
	service, err := New()
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(?m)(?:^import .*|^\} |^export .*)from '(\.[^']+)';|(?:href|src)="([^"]+)"`)
	found := 0
	for _, f := range service.files {
		if strings.HasSuffix(f.path, ".d.ts") {
			continue
		}
		for _, match := range named.FindAllStringSubmatch(string(f.body), -1) {
			target := path.Join(path.Dir(f.path), match[1]+match[2])
			found++
			if response, _ := get(t, app, target); response.StatusCode != http.StatusOK {
				t.Errorf("%s names %s, which answers %d", f.path, target, response.StatusCode)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d names were found", found)
	}
}

// User text is only ever set as text. What could make markup of it is not in the page's code at all.
func TestThePageMakesNoMarkupOfText(t *testing.T) {
	service, err := New()
	if err != nil {
		t.Fatal(err)
	}
	sinks := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|setHTML|\beval\(|new Function|\balert\(|\bconfirm\(|srcdoc`)
	scripts := 0
	for _, f := range service.files {
		if !strings.HasSuffix(f.path, ".js") {
			continue
		}
		scripts++
		if found := sinks.Find(f.body); found != nil {
			t.Errorf("%s has %s", f.path, found)
		}
	}
	if scripts < 10 {
		t.Errorf("only %d scripts were looked at", scripts)
	}
}
