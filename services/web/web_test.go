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

type answer struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, app *fiber.App, path string, headers ...string) answer {
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
	return answer{response.StatusCode, response.Header, string(body)}
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
		answer := get(t, app, path)
		if answer.status != http.StatusOK || answer.body == "" {
			t.Errorf("%s: status %d, %d bytes", path, answer.status, len(answer.body))
		}
		if got := answer.header.Get("Content-Type"); got != kind {
			t.Errorf("%s: type %q, want %q", path, got, kind)
		}
		for name, want := range headers {
			if got := answer.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestAnUnchangedFileIsNotSentAgain(t *testing.T) {
	app := app(t)
	tag := get(t, app, "/app.js").header.Get("ETag")
	if !strings.HasPrefix(tag, `"`) || len(tag) < 20 {
		t.Fatalf("%q is no strong tag", tag)
	}
	for _, match := range []string{tag, "W/" + tag, `"other", ` + tag} {
		answer := get(t, app, "/app.js", "If-None-Match", match)
		if answer.status != http.StatusNotModified || answer.body != "" || answer.header.Get("ETag") != tag {
			t.Errorf("%s: status %d, %d bytes, tag %s", match, answer.status, len(answer.body), answer.header.Get("ETag"))
		}
	}
	for _, path := range []string{"/app.js", "/chat.js"} {
		if answer := get(t, app, path, "If-None-Match", `"other"`); answer.status != http.StatusOK {
			t.Errorf("%s: status %d for a stale copy", path, answer.status)
		}
	}
	if get(t, app, "/chat.js", "If-None-Match", tag).status != http.StatusOK {
		t.Error("another file's tag is taken for one's own")
	}
}

func TestWhatIsNotThereIsSaidInTheErrorForm(t *testing.T) {
	app := app(t)
	for _, path := range []string{"/nothing.js", "/assets/app.js", "/parley/", "/../web.go", "/%2e%2e/web.go"} {
		answer := get(t, app, path)
		var failure webapi.Failure
		if err := json.Unmarshal([]byte(answer.body), &failure); err != nil || answer.status != http.StatusNotFound || failure.Error.Code != "not_found" {
			t.Errorf("%s: status %d, %s", path, answer.status, answer.body)
		}
	}
}

// The policy forbids all of this, so that a slip would show as a page that does not work.
func TestThePageHasNoInlineCode(t *testing.T) {
	body := get(t, app(t), "/").body
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
			if answer := get(t, app, target); answer.status != http.StatusOK {
				t.Errorf("%s names %s, which answers %d", f.path, target, answer.status)
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
