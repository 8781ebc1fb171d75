package client

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
)

// answering is a server that records the last call and returns a fixed response.
type answering struct {
	status int
	body   string

	method, url, token string
	sent               map[string]any
	calls              int
}

func (a *answering) start(t *testing.T) *HTTP {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.calls++
		a.method, a.url, a.token, a.sent = r.Method, r.URL.String(), r.Header.Get("Authorization"), nil
		_ = json.NewDecoder(r.Body).Decode(&a.sent)
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(a.body))
	}))
	t.Cleanup(server.Close)
	return NewHTTP(server.URL+"/", server.Client())
}

func TestCallsAreThoseOfTheContract(t *testing.T) {
	a := &answering{status: http.StatusOK, body: `{"seq":7,"unknown":1}`}
	c, ctx := a.start(t), t.Context()
	seven := chat.Seq(7)
	for want, call := range map[string]func() error{
		"POST /api/auth/signup":                      func() error { _, err := c.Signup(ctx, "u", "p"); return err },
		"POST /api/auth/login":                       func() error { _, err := c.Login(ctx, "u", "p"); return err },
		"POST /api/auth/guest":                       func() error { _, err := c.Guest(ctx, "u"); return err },
		"POST /api/auth/refresh":                     func() error { _, err := c.Refresh(ctx, "r"); return err },
		"POST /api/auth/logout":                      func() error { return c.Logout(ctx, "t") },
		"GET /api/auth/me":                           func() error { _, err := c.Me(ctx, "t"); return err },
		"GET /api/rooms?cursor=n&limit=3&q=a+b":      func() error { _, err := c.Rooms(ctx, "t", "a b", "n", 3); return err },
		"POST /api/rooms":                            func() error { _, err := c.CreateRoom(ctx, "t", NewRoom{Slug: "a"}); return err },
		"GET /api/rooms/a":                           func() error { _, err := c.Room(ctx, "t", "a"); return err },
		"PATCH /api/rooms/a":                         func() error { _, err := c.UpdateRoom(ctx, "t", "a", RoomChange{}); return err },
		"DELETE /api/rooms/a":                        func() error { return c.DeleteRoom(ctx, "t", "a") },
		"GET /api/rooms/a/messages?before=7&limit=2": func() error { _, err := c.Messages(ctx, "t", "a", MessageQuery{Before: &seven, Limit: 2}); return err },
		"GET /api/rooms/a/messages?after=7":          func() error { _, err := c.Messages(ctx, "t", "a", MessageQuery{After: &seven}); return err },
		"POST /api/rooms/a/messages":                 func() error { _, err := c.Send(ctx, "t", "a", Outgoing{Body: "b"}); return err },
		"PATCH /api/rooms/a/messages/7":              func() error { _, err := c.Edit(ctx, "t", "a", 7, "b", ""); return err },
		"DELETE /api/rooms/a/messages/7":             func() error { _, err := c.Delete(ctx, "t", "a", 7); return err },
		"GET /api/rooms/..%2Fauth/messages?limit=1":  func() error { _, err := c.Messages(ctx, "t", "../auth", MessageQuery{Limit: 1}); return err },
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if got := a.method + " " + a.url; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if _, err := c.Send(ctx, "tok", "a", Outgoing{Body: "b"}); err != nil || a.token != "Bearer tok" || a.sent["nonce"] == "" || a.sent["body"] != "b" {
		t.Errorf("%v %+v", err, a)
	}
}

func TestErrorsOfEveryForm(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		code   chat.Code
		after  time.Duration
	}{
		{429, `{"error":{"code":"rate_limited","message":"slow","retry_after_ms":1500}}`, chat.CodeRateLimited, 1500 * time.Millisecond},
		{404, `{"error":{"code":"not_found","message":"none"}}`, chat.CodeNotFound, 0},
		{502, `<html>bad gateway</html>`, chat.CodeUnavailable, 0},
		{200, `<html>captive portal</html>`, chat.CodeUnavailable, 0},
	} {
		a := &answering{status: c.status, body: c.body}
		_, err := a.start(t).Me(t.Context(), "t")
		if got := chat.Public(err); got.Code != c.code || got.RetryAfter != c.after {
			t.Errorf("%d %s: %+v", c.status, c.body, got)
		}
	}
	gone := NewHTTP("http://127.0.0.1:1", http.DefaultClient)
	if _, err := gone.Me(t.Context(), "t"); chat.CodeOf(err) != chat.CodeUnavailable {
		t.Error(err)
	}
}

func TestRefresherRefreshesOnlyWhenNeeded(t *testing.T) {
	a := &answering{status: http.StatusOK, body: `{"access_token":"second","expires_in":60,"refresh_token":"r2"}`}
	tokens := a.start(t).Refresher(SignIn{AccessToken: "first", ExpiresIn: 60, RefreshToken: "r1"})
	if token, err := tokens.Token(t.Context(), ""); err != nil || token.Access != "first" || a.calls != 0 {
		t.Error(token, err, a.calls)
	}
	token, err := tokens.Token(t.Context(), "first")
	if err != nil || token.Access != "second" || a.sent["refresh_token"] != "r1" {
		t.Error(token, err, a.sent)
	}
	if left := time.Until(token.Expires); left < 55*time.Second || left > time.Minute {
		t.Error(left)
	}
	if _, err := tokens.Token(t.Context(), "first"); err != nil || a.calls != 1 {
		t.Error("the second token is good:", err, a.calls)
	}
	a.body = `{"access_token":"third","expires_in":1,"refresh_token":"r3"}`
	for want := range 2 { // the third is about to end as it comes
		if _, err := tokens.Token(t.Context(), "second"); err != nil || a.calls != 2+want {
			t.Error(err, a.calls)
		}
	}
}
