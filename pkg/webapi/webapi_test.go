package webapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/pkg/token"
)

func app(t *testing.T, log io.Writer) *fiber.App {
	t.Helper()
	a := New(Options{Service: "test", Log: slog.New(slog.NewTextHandler(log, nil)), Registry: prometheus.NewRegistry(), TrustedProxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8")}})
	a.Post("/echo", func(c *fiber.Ctx) error {
		var in struct {
			Text string `json:"text"`
		}
		if err := Decode(c, &in); err != nil {
			return err
		}
		return c.JSON(in)
	})
	a.Get("/panic", func(*fiber.Ctx) error { panic("secret") })
	a.Get("/bug", func(*fiber.Ctx) error { return errors.New("secret") })
	a.Get("/busy", func(*fiber.Ctx) error { return limit.TooMany(1500e6) })
	a.Get("/ip", func(c *fiber.Ctx) error { return c.SendString(ClientIP(c).String()) })
	return a
}

func do(t *testing.T, a *fiber.App, method, path, body string, headers ...string) (*http.Response, Failure) {
	t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := a.Test(request, -1)
	if err != nil {
		t.Fatal(err)
	}
	content, _ := io.ReadAll(response.Body)
	var f Failure
	if response.StatusCode >= 400 {
		if err := json.Unmarshal(content, &f); err != nil || f.Error.Code == "" || f.Error.Message == "" {
			t.Errorf("%s %s: %d has no error form: %q", method, path, response.StatusCode, content)
		}
	}
	response.Body = io.NopCloser(bytes.NewReader(content))
	return response, f
}

func TestEveryFailureHasTheErrorForm(t *testing.T) {
	var log bytes.Buffer
	a := app(t, &log)
	const kind = "application/json"
	for _, c := range []struct {
		method, path, body, kind string
		status                   int
		code                     chat.Code
	}{
		{"GET", "/nowhere", "", "", 404, chat.CodeNotFound},
		{"DELETE", "/echo", "", "", 405, chat.CodeBadRequest},
		{"FROB", "/echo", "", "", 405, chat.CodeBadRequest},
		{"POST", "/echo", "{}", "text/plain", 415, chat.CodeBadRequest},
		{"POST", "/echo", "{", kind, 400, chat.CodeBadRequest},
		{"POST", "/echo", `{"text":7}`, kind, 400, chat.CodeBadRequest},
		{"POST", "/echo", "{\"text\":\"\xff\"}", kind, 400, chat.CodeBadRequest},
		{"GET", "/panic", "", "", 500, chat.CodeInternal},
		{"GET", "/bug", "", "", 500, chat.CodeInternal},
		{"GET", "/busy", "", "", 429, chat.CodeRateLimited},
	} {
		response, f := do(t, a, c.method, c.path, c.body, "Content-Type", c.kind)
		if response.StatusCode != c.status || f.Error.Code != c.code || strings.Contains(f.Error.Message, "secret") {
			t.Errorf("%s %s %q: %d %+v", c.method, c.path, c.body, response.StatusCode, f)
		}
		if response.Header.Get("X-Content-Type-Options") != "nosniff" || response.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s %s: headers %v", c.method, c.path, response.Header)
		}
	}
	if response, f := do(t, a, "GET", "/busy", ""); response.Header.Get("Retry-After") != "2" || f.Error.RetryAfterMS != 1500 {
		t.Error(response.Header, f)
	}
	if strings.Count(log.String(), "secret") < 2 {
		t.Error("what is shown blank must be logged whole:", log.String())
	}
}

func TestForwardedForIsReadFromTheRight(t *testing.T) {
	a := app(t, io.Discard) // a test request comes from 0.0.0.0, which it trusts
	for header, want := range map[string]string{
		"":                      "0.0.0.0",
		"9.9.9.9":               "9.9.9.9",
		"6.6.6.6, 9.9.9.9":      "9.9.9.9",
		"9.9.9.9, 0.1.1.1":      "9.9.9.9",
		"6.6.6.6, nonsense":     "0.0.0.0",
		"::ffff:9.9.9.9":        "9.9.9.9",
		"0.1.1.1, 0.2.2.2":      "0.1.1.1",
		" 2001:db8::1 ,0.3.3.3": "2001:db8::1",
		"203.0.113.7:51234":     "203.0.113.7",
		"[2001:db8::1]:443":     "2001:db8::1",
		"[2001:db8::1]":         "2001:db8::1",
		"6.6.6.6, 9.9.9.9:x":    "0.0.0.0",
		"6.6.6.6, unknown":      "0.0.0.0",
	} {
		response, _ := do(t, a, "GET", "/ip", "", "X-Forwarded-For", header)
		if got, _ := io.ReadAll(response.Body); string(got) != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func TestAllLinesOfForwardedForAreRead(t *testing.T) {
	a := app(t, io.Discard)
	request := httptest.NewRequest(http.MethodGet, "/ip", nil)
	request.Header["X-Forwarded-For"] = []string{"198.51.100.1, 198.51.100.2", "203.0.113.7", "0.1.1.1"}
	response, err := a.Test(request, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if got, _ := io.ReadAll(response.Body); string(got) != "203.0.113.7" {
		t.Errorf("came from %s", got)
	}
}

type verifier map[string]token.Claims

func (v verifier) Verify(_ context.Context, raw string) (token.Claims, error) {
	if c, ok := v[raw]; ok {
		return c, nil
	}
	return token.Claims{}, chat.Errorf(chat.CodeUnauthenticated, "bad token")
}

func TestCookiesCallOnlyFromAllowedOrigins(t *testing.T) {
	auth := &Authenticator{Verifier: verifier{"good": {User: chat.User{Name: "Ada"}}}, Browsers: Browsers{Origins: []string{"https://friend.example"}}}
	a := app(t, io.Discard)
	a.Post("/who", func(c *fiber.Ctx) error {
		caller, err := auth.SignedIn(c)
		if err != nil {
			return err
		}
		return c.SendString(caller.User.Name)
	})
	cookie := []string{"Cookie", "parley_session=good"}
	for _, c := range []struct {
		name    string
		headers []string
		status  int
	}{
		{"nobody", nil, 401},
		{"bearer needs no origin", []string{"Authorization", "Bearer good"}, 200},
		{"bad bearer", []string{"Authorization", "Bearer bad"}, 401},
		{"other scheme", []string{"Authorization", "Basic good"}, 401},
		{"bad bearer beats good cookie", append([]string{"Authorization", "Bearer bad", "Origin", "http://example.com"}, cookie...), 401},
		{"cookie without origin", cookie, 403},
		{"own origin", append([]string{"Origin", "http://example.com"}, cookie...), 200},
		{"own origin over TLS", append([]string{"Origin", "https://example.com"}, cookie...), 200},
		{"same-origin by Sec-Fetch-Site", append([]string{"Sec-Fetch-Site", "same-origin"}, cookie...), 200},
		{"same-site", append([]string{"Sec-Fetch-Site", "same-site"}, cookie...), 403},
		{"friend", append([]string{"Origin", "https://friend.example"}, cookie...), 200},
		{"friend by http", append([]string{"Origin", "http://friend.example"}, cookie...), 403},
		{"evil", append([]string{"Origin", "http://evil.example"}, cookie...), 403},
		{"prefix", append([]string{"Origin", "http://evil-example.com"}, cookie...), 403},
		{"suffix", append([]string{"Origin", "http://example.com.evil"}, cookie...), 403},
		{"other port", append([]string{"Origin", "http://example.com:81"}, cookie...), 403},
		{"null", append([]string{"Origin", "null"}, cookie...), 403},
		{"user info", append([]string{"Origin", "http://x@example.com"}, cookie...), 403},
	} {
		if response, _ := do(t, a, "POST", "/who", "", c.headers...); response.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", c.name, response.StatusCode, c.status)
		}
	}
	auth.Browsers.Secure = true
	secure := []string{"Cookie", "__Host-parley_session=good", "Origin", "http://example.com"}
	if response, _ := do(t, a, "POST", "/who", "", secure...); response.StatusCode != http.StatusForbidden {
		t.Error("an origin without TLS passed:", response.StatusCode)
	}
}

func TestInternalListenersWantTheCredential(t *testing.T) {
	a := app(t, io.Discard)
	a.Post("/internal/x", RequireService("right"), func(c *fiber.Ctx) error { return c.SendString("{}") })
	for header, want := range map[string]int{"": 401, "Bearer wrong": 401, "Bearer ": 401, "Bearer right": 200, "right": 401} {
		if response, _ := do(t, a, "POST", "/internal/x", "", "Authorization", header); response.StatusCode != want {
			t.Errorf("%q: %d, want %d", header, response.StatusCode, want)
		}
	}
}

func TestClientAsksTheNextPodOnlyWhenThatIsSafe(t *testing.T) {
	var calls atomic.Int32
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		if hijacker, ok := w.(http.Hijacker); ok {
			hijacked, _, _ := hijacker.Hijack()
			_ = hijacked.Close()
		}
	}))
	defer cut.Close()
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"error":{"code":"conflict","message":"no","details":{"floor":3}}}`)
			return
		}
		_, _ = io.WriteString(w, `{"ok":true}`)
	}))
	defer good.Close()
	const nobody = "http://127.0.0.1:1"
	var answer struct{ OK bool }

	c := NewClient([]string{nobody, cut.URL, good.URL}, "x", nil, quiet)
	c.next.Store(math.MaxUint32) // the first is asked first
	if err := c.Post(t.Context(), "/", nil, &answer); err != nil || !answer.OK || calls.Load() != 1 {
		t.Error(err, answer, calls.Load())
	}
	calls.Store(0)
	if err := c.PostOnce(t.Context(), 0, "/", nil, &answer); chat.CodeOf(err) != chat.CodeUnavailable || calls.Load() != 1 {
		t.Error("what was sent to a pod that broke off must be said to be unknown:", err, calls.Load())
	}
	err := NewClient([]string{good.URL}, "x", nil, quiet).Post(t.Context(), "/refuse", nil, &answer)
	if e := chat.Public(err); e.Code != chat.CodeConflict || e.Details["floor"] != 3.0 {
		t.Error(err)
	}
}

func TestAPodThatHangsLeavesTimeForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hung, good atomic.Int32
		dial := func(_ context.Context, _, address string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			if address == "hung:80" {
				hung.Add(1)
				return ours, nil // nobody reads it
			}
			good.Add(1)
			go func() {
				if _, err := http.ReadRequest(bufio.NewReader(theirs)); err == nil {
					_, _ = io.WriteString(theirs, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
				}
				_ = theirs.Close()
			}()
			return ours, nil
		}
		c := NewClient([]string{"http://hung", "http://good"}, "x", dial, quiet)
		c.next.Store(math.MaxUint32)
		ctx, cancel := context.WithTimeout(t.Context(), 2*attemptTimeout)
		defer cancel()
		for range 3 { // the second is not sent to the one that hangs
			if err := c.Post(ctx, "/", nil, &struct{}{}); err != nil {
				t.Fatal(err)
			}
		}
		if hung.Load() != 1 || good.Load() != 3 {
			t.Error(hung.Load(), good.Load())
		}
	})
}
