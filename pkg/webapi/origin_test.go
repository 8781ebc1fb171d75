package webapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/env"
)

func reader(values map[string]string) *env.Reader {
	return env.New(func(name string) (string, bool) { value, ok := values[name]; return value, ok })
}

func TestOriginsAreReadAsBrowsersWriteThem(t *testing.T) {
	for text, want := range map[string]string{
		"https://Chat.Example.com/": "https://chat.example.com", "https://chat.example.com:443": "https://chat.example.com", "HTTP://chat.example.com:80": "http://chat.example.com",
		"https://bücher.example": "https://xn--bcher-kva.example", "http://[2001:DB8::1]:8080": "http://[2001:db8::1]:8080", "http://localhost:8080": "http://localhost:8080",
		"chat.example.com": "", "chat.example.com:443": "", "*": "", "null": "", "https://": "", "https://a/b": "", "https://a?b": "", "https://u@a": "", "ftp://a": "", "https://a b": "", "https://a:b": "",
	} {
		for _, variable := range []string{"PARLEY_ORIGINS", "PARLEY_PUBLIC_URL"} {
			r := reader(map[string]string{variable: text})
			b := BrowsersFrom(r)
			got := strings.Join(b.Origins, " ") + b.PublicURL
			if got != want || (r.Err() == nil) != (want != "") || want == "" && !strings.Contains(r.Err().Error(), variable) {
				t.Errorf("%s=%s: %q, %v", variable, text, got, r.Err())
			}
		}
	}
	if r := reader(map[string]string{"PARLEY_COOKIE_SUFFIX": "a;b"}); BrowsersFrom(r).CookieSuffix == "" || r.Err() == nil {
		t.Error("a suffix that is none of a name passed")
	}
}

func TestThePublicURLIsAnOwnOrigin(t *testing.T) {
	for _, c := range []struct {
		origin, host string
		allowed      bool
	}{
		{"https://chat.example.org", "auth", true}, // a proxy that passes on no Host
		{"https://chat.example.org", "chat.example.org:443", true},
		{"https://other.example.org", "other.example.org:443", true},
		{"https://other.example.org:8443", "other.example.org:8443", true},
		{"https://other.example.org", "other.example.org:8443", false},
		{"http://chat.example.org", "auth", false},
		{"http://other.example.org", "other.example.org:80", true},
		{"https://chat.example.org.evil.example", "auth", false},
	} {
		a := app(t, io.Discard)
		a.Post("/check", func(c *fiber.Ctx) error { return Browsers{PublicURL: "https://chat.example.org"}.CheckOrigin(c) })
		response, _ := do(t, a, "POST", "http://"+c.host+"/check", "", "Origin", c.origin)
		if (response.StatusCode == http.StatusOK) != c.allowed {
			t.Errorf("%+v: %d", c, response.StatusCode)
		}
	}
}

func TestOtherSchemesArePassedOver(t *testing.T) {
	auth := &Authenticator{Verifier: verifier{"good": {User: chat.User{Name: "Ada"}}}, Browsers: Browsers{PublicURL: "http://example.com"}}
	for _, c := range []struct {
		authorization []string
		status        int
	}{
		{[]string{"Basic dTpw"}, 200},
		{[]string{"Negotiate"}, 200},
		{[]string{"Basic dTpw", "Bearer good"}, 200},
		{[]string{"Bearer"}, 401},
		{[]string{"bearer "}, 401},
		{[]string{"Bearer bad"}, 401},
		{[]string{"Basic dTpw", "Bearer bad"}, 401},
	} {
		a := app(t, io.Discard)
		a.Get("/who", func(c *fiber.Ctx) error { _, err := auth.SignedIn(c); return err })
		request := httptest.NewRequest(http.MethodGet, "/who", nil)
		request.Header["Authorization"] = c.authorization
		request.Header.Set("Cookie", "parley_session=good")
		response, err := a.Test(request, -1)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != c.status {
			t.Errorf("%q: %d, want %d", c.authorization, response.StatusCode, c.status)
		}
	}
}

func TestEveryCookieOfTheNameIsTried(t *testing.T) {
	for _, c := range []struct {
		suffix, cookies string
		status          int
	}{
		{"", "parley_session=good", 200},
		{"", "parley_session=bad; parley_session=good", 200},
		{"", "parley_session=bad; parley_session=worse", 401},
		{"", "parley_session=", 404},
		{"", "parley_session_8081=good", 404},
		{"8081", "parley_session_8081=good; parley_session=bad", 200},
		{"8081", "parley_session=bad; parley_session_8081=good", 200},
		{"8081", "parley_session_8081=bad; parley_session=good", 200}, // from before there was a suffix
		{"8081", "parley_session=bad", 404},                           // another server's
		{"8081", "parley_session_8081=bad; parley_session=bad", 401},
	} {
		auth := &Authenticator{Verifier: verifier{"good": {User: chat.User{Name: "Ada"}}}, Browsers: Browsers{CookieSuffix: c.suffix}}
		a := app(t, io.Discard)
		a.Get("/who", func(c *fiber.Ctx) error {
			caller, err := auth.Caller(c)
			if err == nil && caller == nil {
				return fiber.ErrNotFound // nobody
			}
			return err
		})
		if response, _ := do(t, a, "GET", "/who", "", "Cookie", c.cookies); response.StatusCode != c.status {
			t.Errorf("%q, %q: %d, want %d", c.suffix, c.cookies, response.StatusCode, c.status)
		}
	}
}
