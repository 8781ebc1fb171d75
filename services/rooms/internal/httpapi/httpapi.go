// Package httpapi is how rooms are reached: the public HTTP API of PROTOCOL.md, and the internal one
// that edges call.
package httpapi

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/rooms/internal/directory"
	"github.com/parley-chat/parley/services/rooms/internal/ledger"
	"github.com/parley-chat/parley/services/rooms/internal/policy"
)

// callTimeout bounds a call. It is below what edges and proxies wait for, so that they get an answer.
const callTimeout = 5 * time.Second

// appendTimeout bounds an edge's batch. It is little more than the edge waits before it tells its
// clients "unknown", so that no batch that nobody waits for comes in late.
const appendTimeout = 3 * time.Second

// Deps are what the API works with.
type Deps struct {
	Directory     *directory.Directory
	Ledger        *ledger.Ledger
	Authenticator *webapi.Authenticator
	Credential    string
	Limits        Limits
	Now           func() time.Time
	Registry      prometheus.Registerer
}

// API answers calls.
type API struct {
	directory  *directory.Directory
	ledger     *ledger.Ledger
	auth       *webapi.Authenticator
	credential string
	limits     limiters
	now        func() time.Time
}

// New makes an API.
func New(d Deps) *API {
	return &API{
		directory: d.Directory, ledger: d.Ledger, auth: d.Authenticator, credential: d.Credential,
		limits: newLimiters(d.Limits, d.Registry), now: d.Now,
	}
}

// Routes mounts what everyone may call.
func (a *API) Routes(r fiber.Router) {
	r.Get("/api/rooms", a.listRooms)
	r.Post("/api/rooms", a.createRoom)
	r.Get("/api/rooms/:slug", a.readRoom)
	r.Patch("/api/rooms/:slug", a.updateRoom)
	r.Delete("/api/rooms/:slug", a.deleteRoom)
	r.Get("/api/rooms/:slug/messages", a.listMessages)
	for _, o := range operation.All {
		for _, route := range o.Routes {
			r.Add(route.Method, route.Path, a.operate(o, route))
		}
	}
	r.Get("/api/rooms/:slug/events", redirectPoll)
}

// redirectPoll answers the long poll, which is the edge's: a proxy that routes by prefixes brings it here.
func redirectPoll(c *fiber.Ctx) error {
	if !slug(c).Valid() {
		return policy.NoRoom()
	}
	location := "/poll/" + c.Params("slug")
	if query := c.Context().QueryArgs().String(); query != "" {
		location += "?" + query
	}
	return c.Redirect(location, fiber.StatusTemporaryRedirect)
}

// caller is who calls; nobody signed in is a caller too, who sees what guests see.
func (a *API) caller(c *fiber.Ctx) (directory.Caller, error) {
	who, err := a.auth.Caller(c)
	if err != nil || who == nil {
		return directory.Caller{Tenant: chat.DefaultTenant}, err
	}
	return directory.Caller{Tenant: who.Tenant, User: &who.User}, nil
}

// reader is caller, who asks for something and not too often.
func (a *API) reader(c *fiber.Ctx) (directory.Caller, error) {
	caller, err := a.caller(c)
	if err == nil {
		err = a.limits.read(c, caller)
	}
	return caller, err
}

// signedIn is caller without nobody.
func (a *API) signedIn(c *fiber.Ctx) (directory.Caller, error) {
	who, err := a.auth.SignedIn(c)
	if err != nil {
		return directory.Caller{}, err
	}
	return directory.Caller{Tenant: who.Tenant, User: &who.User}, nil
}

// bounded is the request's context with the time limit of a call. A client that hangs up does not end
// it: a commit under way must come to its end.
func bounded(c *fiber.Ctx) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.UserContext(), callTimeout)
}

func slug(c *fiber.Ctx) chat.Slug { return chat.Slug(c.Params("slug")) }

// number reads a whole number of the query, 0 if it is missing.
func number(c *fiber.Ctx, name string) (int64, error) {
	text := c.Query(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > int64(chat.MaxSeq) {
		return 0, chat.Errorf(chat.CodeBadRequest, "%s is no whole number from 0 on", name)
	}
	return n, nil
}

// pageSize reads how many are asked for, 0 if that is not said. What is not allowed is cut, not refused.
func pageSize(c *fiber.Ctx) (int, error) {
	text := c.Query("limit")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range, it is the nearest number that is in it
		return 0, chat.Errorf(chat.CodeBadRequest, "limit is no whole number")
	}
	return int(max(1, n)), nil
}
