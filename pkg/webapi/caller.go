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
	// Origins may call besides the host's own, such as https://www.example.org.
	Origins []string
	// Secure says that browsers reach us by TLS: cookies go by nothing else, nor does an own origin.
	Secure bool
}

// BrowsersFrom reads PARLEY_ORIGINS and PARLEY_COOKIE_SECURE.
func BrowsersFrom(r *env.Reader) Browsers {
	return Browsers{
		Origins: r.List("PARLEY_ORIGINS", "", "Origins that may call with the session cookie besides the host's own, such as `https://www.example.org`, comma-separated."),
		Secure:  r.Bool("PARLEY_COOKIE_SECURE", false, "Whether browsers come by TLS: cookies are then `Secure` and carry the `__Host-` prefix. The same for all services."),
	}
}

// SessionCookie is the name of the cookie with the access token.
func (b Browsers) SessionCookie() string {
	if b.Secure {
		return "__Host-parley_session"
	}
	return "parley_session"
}

// RefreshCookie is the name of the cookie with the refresh token, which only auth gets.
func (b Browsers) RefreshCookie() string {
	if b.Secure {
		return "__Secure-parley_refresh"
	}
	return "parley_refresh"
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
	origin := c.Get(fiber.HeaderOrigin)
	if origin == "" {
		if c.Get("Sec-Fetch-Site") == "same-origin" {
			return nil
		}
		return refused
	}
	if slices.Contains(b.Origins, origin) {
		return nil
	}
	host := string(c.Request().Host())
	if host != "" && (strings.EqualFold(origin, "https://"+host) || !b.Secure && strings.EqualFold(origin, "http://"+host)) {
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
	raw, byCookie := a.Token(c)
	if raw == "" {
		return nil, nil //nolint:nilnil // nobody signed in is an answer
	}
	if byCookie && c.Method() != http.MethodGet && c.Method() != http.MethodHead {
		if err := a.Browsers.CheckOrigin(c); err != nil {
			return nil, err
		}
	}
	claims, err := a.Verifier.Verify(c.UserContext(), raw)
	if err != nil {
		return nil, err
	}
	return &Caller{Claims: claims, Token: raw, ByCookie: byCookie}, nil
}

// SignedIn is Caller, with CodeUnauthenticated for nobody.
func (a *Authenticator) SignedIn(c *fiber.Ctx) (*Caller, error) {
	caller, err := a.Caller(c)
	if err == nil && caller == nil {
		return nil, chat.Errorf(chat.CodeUnauthenticated, "sign in first")
	}
	return caller, err
}

// Token returns the access token that the request carries, unverified, and whether a cookie carries it.
func (a *Authenticator) Token(c *fiber.Ctx) (raw string, byCookie bool) {
	if header := c.Get(fiber.HeaderAuthorization); header != "" {
		if raw, ok := bearer(header); ok {
			return raw, false
		}
		return "malformed", false // refused as such, rather than taken for nobody
	}
	return c.Cookies(a.Browsers.SessionCookie()), true
}

func bearer(header string) (string, bool) {
	scheme, raw, ok := strings.Cut(header, " ")
	return strings.TrimSpace(raw), ok && strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(raw) != ""
}
