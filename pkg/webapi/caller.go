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

// Verifier verifies access tokens. Verify returns CodeUnauthenticated for a token that is missing, invalid,
// expired or revoked, and CodeUnavailable if it can't find out.
type Verifier interface {
	Verify(ctx context.Context, raw string) (token.Claims, error)
}

// Browsers configures the handling of browsers: which origins may call, and how the cookies are set.
type Browsers struct {
	// Origins may call besides the server's own origin, such as https://www.example.org, as browsers write them.
	Origins []string
	// PublicURL is the server's own origin for browsers, even if a proxy passes on another Host. "" is unknown.
	PublicURL string
	// Secure means that browsers connect by TLS. Cookies are then only sent by TLS, and the server's own origin
	// must be https.
	Secure bool
	// CookieSuffix distinguishes the cookies from those of another server on the same host.
	CookieSuffix string
}

// BrowsersFrom reads PARLEY_ORIGINS, PARLEY_PUBLIC_URL, PARLEY_COOKIE_SECURE and PARLEY_COOKIE_SUFFIX.
func BrowsersFrom(r *env.Reader) Browsers {
	return Browsers{Origins: originsFrom(r), PublicURL: PublicURLFrom(r), Secure: secureFrom(r), CookieSuffix: cookieSuffixFrom(r)}
}

func secureFrom(r *env.Reader) bool {
	return r.Bool("PARLEY_COOKIE_SECURE", false, "Whether browsers connect by TLS. If so, cookies are `Secure` and have the `__Host-` prefix, and browsers must use TLS for the next year (HSTS). Use the same value for all services.")
}

// SessionCookie returns the name of the cookie with the access token.
func (b Browsers) SessionCookie() string { return b.sessionCookie() + b.suffix() }

// RefreshCookie returns the name of the cookie with the refresh token. Browsers send it to auth only.
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

// RefreshTokens returns the refresh tokens in the request's cookies. The cookies with our suffix come first. A
// cookie without a suffix was set before the suffix was configured, or by another server on this host.
func (b Browsers) RefreshTokens(c *fiber.Ctx) []string {
	own := cookies(c, b.RefreshCookie())
	if b.CookieSuffix != "" {
		own = append(own, cookies(c, b.refreshCookie())...)
	}
	return own
}

// maxSameCookies bounds how many cookies of one name are read.
const maxSameCookies = 4

// cookies returns the values of all cookies with the name: a browser may hold one for each path and domain.
func cookies(c *fiber.Ctx, name string) (values []string) {
	c.Request().Header.VisitAllCookie(func(key, value []byte) {
		if string(key) == name && len(value) > 0 && len(values) < maxSameCookies {
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

// CheckOrigin returns CodeForbidden for a call by cookie that does not come from an allowed origin.
func (b Browsers) CheckOrigin(c *fiber.Ctx) error {
	refused := chat.Errorf(chat.CodeForbidden, "calls with the session cookie must come from an allowed origin: add this one to PARLEY_ORIGINS, or use a bearer token")
	header := c.Get(fiber.HeaderOrigin)
	if header == "" {
		if c.Get("Sec-Fetch-Site") == "same-origin" {
			return nil
		}
		return refused
	}
	from, err := origin(header)
	// Use the Host header itself, never fasthttp's Host(), which may come from the path.
	if err == nil && (slices.Contains(b.Origins, from) || from == b.PublicURL || ownOrigin(from, string(c.Request().Header.Host()), b.Secure)) {
		return nil
	}
	return refused
}

// CheckHandshake is CheckOrigin for a WebSocket handshake, in which browsers always send an Origin.
func (b Browsers) CheckHandshake(c *fiber.Ctx) error {
	if c.Get(fiber.HeaderOrigin) == "" {
		return chat.Errorf(chat.CodeForbidden, "a socket with the session cookie must have an Origin header")
	}
	return b.CheckOrigin(c)
}

// Caller is the user of a request, by a verified token.
type Caller struct {
	token.Claims

	Token    string
	ByCookie bool
}

// Authenticator identifies the caller of a request.
type Authenticator struct {
	Verifier Verifier
	Browsers Browsers
}

// Caller returns the caller by bearer header or session cookie, or nil for an anonymous request. It returns
// CodeUnauthenticated for a token that does not verify, and CodeForbidden for a state-changing call by cookie
// from an origin that is not allowed.
func (a *Authenticator) Caller(c *fiber.Ctx) (*Caller, error) {
	if c.Method() == http.MethodGet || c.Method() == http.MethodHead {
		return a.caller(c, func(*fiber.Ctx) error { return nil })
	}
	return a.caller(c, a.Browsers.CheckOrigin)
}

// Handshake is Caller for a WebSocket handshake.
func (a *Authenticator) Handshake(c *fiber.Ctx) (*Caller, error) {
	return a.caller(c, a.Browsers.CheckHandshake)
}

// caller identifies the caller. Cookies only count if check allows the request.
func (a *Authenticator) caller(c *fiber.Ctx, check func(*fiber.Ctx) error) (*Caller, error) {
	if raw, ok := bearerOf(c); ok {
		claims, err := a.Verifier.Verify(c.UserContext(), raw)
		if err != nil {
			return nil, err
		}
		return &Caller{Claims: claims, Token: raw}, nil
	}
	own, others := cookies(c, a.Browsers.SessionCookie()), []string(nil)
	if a.Browsers.CookieSuffix != "" { // set before the suffix was configured, or by another server
		others = cookies(c, a.Browsers.sessionCookie())
	}
	if len(own)+len(others) == 0 {
		return nil, nil //nolint:nilnil // nobody signed in is an answer
	}
	if err := check(c); err != nil {
		return nil, err
	}
	return a.firstValid(c.UserContext(), own, others)
}

// firstValid returns the caller of the first token that verifies. If none verifies, an invalid token in own is an
// error, but an invalid token in others is ignored.
func (a *Authenticator) firstValid(ctx context.Context, own, others []string) (*Caller, error) {
	var failed error
	for i, raw := range slices.Concat(own, others) {
		claims, err := a.Verifier.Verify(ctx, raw)
		if err == nil {
			return &Caller{Claims: claims, Token: raw, ByCookie: true}, nil
		}
		invalid := chat.CodeOf(err) == chat.CodeUnauthenticated
		if !invalid || i < len(own) && failed == nil {
			failed = err
		}
	}
	return nil, failed
}

// SignedIn is like Caller, but returns CodeUnauthenticated for an anonymous request.
func (a *Authenticator) SignedIn(c *fiber.Ctx) (*Caller, error) {
	caller, err := a.Caller(c)
	if err == nil && caller == nil {
		return nil, chat.Errorf(chat.CodeUnauthenticated, "sign in first")
	}
	return caller, err
}

// bearerOf returns the bearer token of the Authorization headers, false if there is none. It ignores other schemes,
// which are meant for proxies. For a malformed header it returns a text that no Verifier accepts, so that the
// request is refused and not treated as anonymous.
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
