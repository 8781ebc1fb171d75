// Package httpapi serves auth over HTTP: signing in and out, the caller's own account, staff's
// administration of users, the public keys, and the lobby for other services.
package httpapi

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/session"
)

// KeySet is the keys that are published.
type KeySet interface {
	// Set returns them as a JSON Web Key Set, nil before there are any.
	Set() []byte
}

// Lobby is the log of what was revoked.
type Lobby interface {
	// LobbyPage returns the events after a seq, oldest first, limit at most, with the log's name and
	// head; from the first one on that is not older than since, if that is not zero.
	LobbyPage(ctx context.Context, after chat.Seq, since time.Time, limit int) (lobby.Page, error)
}

// Limits are how often things may be done.
type Limits struct {
	Signup, Login, Guest, Refresh limit.Rate // from one address; Refresh is for signing out, too
	Reads, UserChanges            limit.Rate // by one user
}

// Deps are what the API stands on.
type Deps struct {
	Accounts   *account.Accounts
	Sessions   *session.Sessions
	Verifier   *token.Verifier
	Keys       KeySet
	Lobby      Lobby
	Browsers   webapi.Browsers
	Credential string
	Signup     bool // whether anyone may make an account
	Guests     bool // whether anyone may come in as a guest
	Limits     Limits
	NewID      func() string
	Now        func() time.Time
	Log        *slog.Logger
	Registry   prometheus.Registerer
}

// API serves auth over HTTP.
type API struct {
	Deps

	authenticator                         *webapi.Authenticator
	signup, login, guest, refresh, logout *limit.Limiter
	reads, userChanges                    *limit.Limiter
}

// New makes the API.
func New(d Deps) *API {
	refused := metric.Counters(d.Registry, "parley_auth_refused_total", "Calls refused because an address or a user made too many, by the limit.", "limit",
		"signup", "login", "guest", "refresh", "logout", "reads", "user_changes")
	return &API{
		Deps:          d,
		authenticator: &webapi.Authenticator{Verifier: sessionVerifier{d.Verifier, d.Sessions}, Browsers: d.Browsers},
		signup:        limit.New(d.Limits.Signup, refused.WithLabelValues("signup")),
		login:         limit.New(d.Limits.Login, refused.WithLabelValues("login")),
		guest:         limit.New(d.Limits.Guest, refused.WithLabelValues("guest")),
		refresh:       limit.New(d.Limits.Refresh, refused.WithLabelValues("refresh")),
		logout:        limit.New(d.Limits.Refresh, refused.WithLabelValues("logout")),
		reads:         limit.New(d.Limits.Reads, refused.WithLabelValues("reads")),
		userChanges:   limit.New(d.Limits.UserChanges, refused.WithLabelValues("user_changes")),
	}
}

// Routes mounts the public API.
func (a *API) Routes(r fiber.Router) {
	r.Post("/api/auth/signup", timed(a.postSignup))
	r.Post("/api/auth/login", timed(a.postLogin))
	r.Post("/api/auth/guest", timed(a.postGuest))
	r.Post("/api/auth/refresh", timed(a.postRefresh))
	r.Post("/api/auth/logout", timed(a.postLogout))
	r.Post("/api/auth/password", timed(a.postPassword))
	r.Get("/api/auth/me", timed(a.getMe))
	r.Get("/api/auth/users", a.staff(a.reads, a.getUsers))
	r.Post("/api/auth/users", a.staff(a.userChanges, a.postUser))
	r.Patch("/api/auth/users/:id", a.staff(a.userChanges, a.patchUser))
	r.Delete("/api/auth/users/:id", a.staff(a.userChanges, a.deleteUser))
	r.Get(token.PathKeys, a.getKeys)
}

// InternalRoutes mounts what other services call.
func (a *API) InternalRoutes(r fiber.Router) {
	r.Get(token.PathKeys, a.getKeys)
	r.Post(lobby.PathEvents, webapi.RequireService(a.Credential), timed(a.postLobby))
}

// callTimeout bounds a call: waiting for a turn to hash, hashing, and the store.
const callTimeout = 15 * time.Second

// timed gives the call's context its end.
func timed(handle fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		ctx, cancel := context.WithTimeout(c.UserContext(), callTimeout)
		defer cancel()
		c.SetUserContext(ctx)
		return handle(c)
	}
}

// sessionVerifier verifies tokens like every service, and then looks their session up: here is where it is kept.
type sessionVerifier struct {
	verifier *token.Verifier
	sessions *session.Sessions
}

// Verify implements webapi.Verifier.
func (l sessionVerifier) Verify(ctx context.Context, raw string) (token.Claims, error) {
	claims, err := l.verifier.Verify(ctx, raw)
	if err != nil {
		return token.Claims{}, err
	}
	sess, err := l.sessions.Check(ctx, claims)
	if err != nil {
		return token.Claims{}, err
	}
	claims.User = sess.User
	return claims, nil
}

// keysMaxAge is how long caches may keep the public keys: a next key is published for longer than
// that before it signs.
const keysMaxAge = "public, max-age=60"

func (a *API) getKeys(c *fiber.Ctx) error {
	set := a.Keys.Set()
	if set == nil {
		return chat.Errorf(chat.CodeUnavailable, "the signing keys are not known yet: try again in a moment")
	}
	c.Set(fiber.HeaderContentType, "application/jwk-set+json")
	c.Set(fiber.HeaderCacheControl, keysMaxAge)
	return c.Send(set)
}

// maxEvents bounds a page of the lobby.
const maxEvents = 1000

func (a *API) postLobby(c *fiber.Ctx) error {
	var in lobby.EventsRequest
	if err := webapi.Decode(c, &in); err != nil {
		return err
	}
	since, err := in.Since(a.Now())
	if err != nil {
		return err
	}
	page, err := a.Lobby.LobbyPage(c.UserContext(), in.After, since, min(in.Limit, maxEvents))
	if err != nil {
		return err
	}
	return c.JSON(page)
}

// origin is where a request comes from, for the audit entries of what it does.
func origin(c *fiber.Ctx) audit.Origin {
	from := audit.Origin{Request: c.GetRespHeader(fiber.HeaderXRequestID)}
	if ip := webapi.ClientIP(c); ip.IsValid() {
		from.Address = ip.String()
	}
	return from
}

// network is the part of an address that one attacker has many of: an IPv4 /24, an IPv6 /56.
func network(ip netip.Addr) string {
	bits := 24
	if ip.Is6() {
		bits = 56
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return prefix.Masked().String()
}
