package auth

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/auth/internal/storetest"
)

// fuzzed is the service on PostgreSQL, which refuses texts that SQLite takes, with nobody to announce to.
func fuzzed(f *testing.F) (app *fiber.App, staff string) {
	f.Helper()
	c := config(f, storetest.Postgres(f))
	unlimited(&c)
	c.Admin = Credentials{"boss", good}
	client, err := stream.Open("redis://127.0.0.1:1")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = client.Close() })
	quiet, registry := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	s, err := New(f.Context(), c, Deps{Log: quiet, Registry: registry, Now: time.Now, Redis: client})
	if err != nil {
		f.Fatal(err)
	}
	app = webapi.New(webapi.Options{Service: "auth", Log: quiet, Registry: registry, BodyLimit: bodyLimit, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8")}})
	s.Routes(app)
	s.InternalRoutes(app)
	ctx, cancel := context.WithCancel(context.WithoutCancel(f.Context()))
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- lifecycle.Run(ctx, func() { close(ready) }, s.Parts()...) }()
	f.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.Error(err)
		}
	})
	<-ready
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if status, text := ask(f, app, "", "POST", "/api/auth/login", `{"username":"boss","password":"`+good+`"}`); status != 200 || json.Unmarshal([]byte(text), &answer) != nil {
		f.Fatal(status, text)
	}
	return app, answer.AccessToken
}

func ask(t testing.TB, app *fiber.App, bearer, method, path, body string) (int, string) {
	t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	response, err := app.Test(request, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

// Whatever anybody sends, in the body, in the query or as an id, is answered in form, and never with a
// failure of ours.
func FuzzCalls(f *testing.F) {
	app, staff := fuzzed(f)
	f.Fuzz(func(t *testing.T, body, text, cursor string) {
		query := "?q=" + url.QueryEscape(text) + "&limit=" + url.QueryEscape(text) + "&cursor=" + url.QueryEscape(cursor)
		for _, c := range []struct{ who, method, path string }{
			{"", "POST", "/api/auth/signup"},
			{"", "POST", "/api/auth/login"},
			{"", "POST", "/api/auth/guest"},
			{"", "POST", "/api/auth/refresh"},
			{"", "POST", "/api/auth/logout"},
			{text, "GET", "/api/auth/me"},
			{staff, "POST", "/api/auth/users"},
			{staff, "POST", "/api/auth/password"},
			{staff, "PATCH", "/api/auth/users/" + url.PathEscape(text)},
			{staff, "DELETE", "/api/auth/users/" + url.PathEscape(text)},
			{staff, "GET", "/api/auth/users" + query},
			{staff, "GET", "/api/auth/users?cursor=" + url.QueryEscape(cursor) + "&q=" + url.QueryEscape(text)},
			{credential, "POST", lobby.PathEvents},
		} {
			if c.who == text && strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
				continue // no header has such a token
			}
			status, answer := ask(t, app, c.who, c.method, c.path, body)
			var failure webapi.Failure
			switch {
			case status >= 500, status != 204 && !json.Valid([]byte(answer)):
				t.Errorf("%s %s %q: %d %s", c.method, c.path, body, status, answer)
			case status >= 400 && (json.Unmarshal([]byte(answer), &failure) != nil || failure.Error.Code == "" || failure.Error.Message == ""):
				t.Errorf("%s %s %q: no form of an error: %s", c.method, c.path, body, answer)
			case status < 300 && c.path == "/api/auth/me":
				t.Errorf("%q signed somebody in", text)
			}
		}
	})
}
