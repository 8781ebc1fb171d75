package webapi

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/token"
)

// Verifier checks an access token: CodeUnauthenticated if it is missing, bad, expired or revoked,
// CodeUnavailable if that can't be told.
type Verifier interface {
	Verify(ctx context.Context, raw string) (token.Claims, error)
}

// Browsers says how browsers are recognised: which origins may call, and what the cookies are like.
type Browsers struct {
	// Origins may call besides the host's own, such as https://www.example.org, as browsers write them.
	Origins []string
	// PublicURL is where browsers find us, as an origin: our own, whatever Host a proxy passes on. "" is unknown.
	PublicURL string
	// Secure says that browsers reach us by TLS: cookies go by nothing else, nor does an own origin.
	Secure bool
	// CookieSuffix tells our cookies from those of another server on the same host.
	CookieSuffix string
}

// BrowsersFrom reads PARLEY_ORIGINS, PARLEY_PUBLIC_URL, PARLEY_COOKIE_SECURE and PARLEY_COOKIE_SUFFIX.
func BrowsersFrom(r *env.Reader) Browsers {
	return Browsers{Origins: originsFrom(r), PublicURL: PublicURLFrom(r), Secure: secureFrom(r), CookieSuffix: cookieSuffixFrom(r)}
}

func secureFrom(r *env.Reader) bool {
	return r.Bool("PARLEY_COOKIE_SECURE", false, "Whether browsers come by TLS: cookies are then `Secure` and carry the `__Host-` prefix, and browsers are told to come by nothing else for a year (HSTS). The same for all services.")
}

// SessionCookie is the name of the cookie with the access token.
func (b Browsers) SessionCookie() string { return b.sessionCookie() + b.suffix() }

// RefreshCookie is the name of the cookie with the refresh token, which only auth gets.
func (b Browsers) RefreshCookie() string { return b.refreshCookie() + b.suffix() }

func (b Browsers) sessionCookie() string {
	if b.Secure {
		return "__Host-parley_session"
	}
	return "parley_session"
}

func (b Browsers) refreshCookie() string {
	if b.Secure {
		return "__Secure-parley_refresh"
	}
	return "parley_refresh"
}

func (b Browsers) suffix() string {
	if b.CookieSuffix == "" {
		return ""
	}
	return "_" + b.CookieSuffix
}

// RefreshTokens are the refresh tokens that cookies carry, those first that are most likely ours. Those under the
// name without a suffix are from before there was one, or another server's.
func (b Browsers) RefreshTokens(c *fiber.Ctx) []string {
	own := cookies(c, b.RefreshCookie())
	if b.CookieSuffix != "" {
		own = append(own, cookies(c, b.refreshCookie())...)
	}
	return own
}

// mostCookies of one name are looked at.
const mostCookies = 4

// cookies are the values of all cookies of that name: a browser may have one for each path and each domain.
func cookies(c *fiber.Ctx, name string) (values []string) {
	c.Request().Header.VisitAllCookie(func(key, value []byte) {
		if string(key) == name && len(value) > 0 && len(values) < mostCookies {
			values = append(values, string(value))
		}
	})
	return values
}

// RefreshPath is the path of the refresh token's cookie.
const RefreshPath = "/api/auth"

// SetCookie sets one of the two cookies; an empty value deletes it.
func (b Browsers) SetCookie(c *fiber.Ctx, name, value string, maxAge time.Duration) {
	cookie := &fiber.Cookie{Name: name, Value: value, Path: "/", HTTPOnly: true, Secure: b.Secure, SameSite: fiber.CookieSameSiteLaxMode, MaxAge: int(maxAge.Seconds())}
	if name == b.RefreshCookie() {
		cookie.Path = RefreshPath
	}
	if value == "" {
		cookie.MaxAge = -1
		cookie.Expires = time.Unix(1, 0)
	}
	c.Cookie(cookie)
}

// CheckOrigin refuses a call by cookie that does not come from an allowed origin: CodeForbidden.
func (b Browsers) CheckOrigin(c *fiber.Ctx) error {
	refused := chat.Errorf(chat.CodeForbidden, "calls with the session cookie must come from an allowed origin")
	header := c.Get(fiber.HeaderOrigin)
	if header == "" {
		if c.Get("Sec-Fetch-Site") == "same-origin" {
			return nil
		}
		return refused
	}
	from, err := origin(header)
	// The Host header itself, never fasthttp's Host(): that may come out of the path.
	if err == nil && (slices.Contains(b.Origins, from) || from == b.PublicURL || ownOrigin(from, string(c.Request().Header.Host()), b.Secure)) {
		return nil
	}
	return refused
}

// CheckHandshake is CheckOrigin for a WebSocket, with which browsers always send an Origin.
func (b Browsers) CheckHandshake(c *fiber.Ctx) error {
	if c.Get(fiber.HeaderOrigin) == "" {
		return chat.Errorf(chat.CodeForbidden, "a socket with the session cookie needs an Origin")
	}
	return b.CheckOrigin(c)
}

// Caller is who calls, by a verified token.
type Caller struct {
	token.Claims

	Token    string
	ByCookie bool
}

// Authenticator finds out who calls.
type Authenticator struct {
	Verifier Verifier
	Browsers Browsers
}

// Caller returns who calls by bearer header or session cookie, nil for nobody signed in. A token that
// does not verify is CodeUnauthenticated, and a state-changing call by cookie from a foreign origin
// is CodeForbidden.
func (a *Authenticator) Caller(c *fiber.Ctx) (*Caller, error) {
	if c.Method() == http.MethodGet || c.Method() == http.MethodHead {
		return a.caller(c, func(*fiber.Ctx) error { return nil })
	}
	return a.caller(c, a.Browsers.CheckOrigin)
}

// Handshake is Caller for a WebSocket.
func (a *Authenticator) Handshake(c *fiber.Ctx) (*Caller, error) {
	return a.caller(c, a.Browsers.CheckHandshake)
}

// caller finds out who calls, a call by cookie if check allows it.
func (a *Authenticator) caller(c *fiber.Ctx, check func(*fiber.Ctx) error) (*Caller, error) {
	if raw, ok := bearerOf(c); ok {
		claims, err := a.Verifier.Verify(c.UserContext(), raw)
		if err != nil {
			return nil, err
		}
		return &Caller{Claims: claims, Token: raw}, nil
	}
	own, others := cookies(c, a.Browsers.SessionCookie()), []string(nil)
	if a.Browsers.CookieSuffix != "" { // from before there was a suffix, or another server's
		others = cookies(c, a.Browsers.sessionCookie())
	}
	if len(own)+len(others) == 0 {
		return nil, nil //nolint:nilnil // nobody signed in is an answer
	}
	if err := check(c); err != nil {
		return nil, err
	}
	return a.firstGood(c.UserContext(), own, others)
}

// firstGood is whom the first token that verifies names. Where none does, a bad one of our own is an error, one
// under others is as good as none.
func (a *Authenticator) firstGood(ctx context.Context, own, others []string) (*Caller, error) {
	var failed error
	for i, raw := range slices.Concat(own, others) {
		claims, err := a.Verifier.Verify(ctx, raw)
		if err == nil {
			return &Caller{Claims: claims, Token: raw, ByCookie: true}, nil
		}
		bad := chat.CodeOf(err) == chat.CodeUnauthenticated
		if !bad || i < len(own) && failed == nil {
			failed = err
		}
	}
	return nil, failed
}

// SignedIn is Caller, with CodeUnauthenticated for nobody.
func (a *Authenticator) SignedIn(c *fiber.Ctx) (*Caller, error) {
	caller, err := a.Caller(c)
	if err == nil && caller == nil {
		return nil, chat.Errorf(chat.CodeUnauthenticated, "sign in first")
	}
	return caller, err
}

// bearerOf is the token of the Authorization header; false for none. Other schemes are for proxies before us. A
// malformed one is no token of anybody, and refused as such rather than taken for nobody.
func bearerOf(c *fiber.Ctx) (string, bool) {
	for _, line := range c.Request().Header.PeekAll(fiber.HeaderAuthorization) {
		scheme, _, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			continue
		}
		if raw, ok := bearer(string(line)); ok {
			return raw, true
		}
		return "malformed", true
	}
	return "", false
}

func bearer(header string) (string, bool) {
	scheme, raw, ok := strings.Cut(header, " ")
	return strings.TrimSpace(raw), ok && strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(raw) != ""
}
