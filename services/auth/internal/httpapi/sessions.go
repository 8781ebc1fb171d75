package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/session"
)

type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// signedIn is the answer to whatever makes or renews a session.
type signedIn struct {
	AccessToken  string    `json:"access_token"`
	ExpiresIn    int64     `json:"expires_in"` // seconds
	RefreshToken string    `json:"refresh_token"`
	User         chat.User `json:"user"`
}

func (a *API) postSignup(c *fiber.Ctx) error {
	if !a.Signup {
		return chat.Errorf(chat.CodeForbidden, "sign-up is closed here: ask staff for an account")
	}
	var in credentials
	if err := a.limited(c, a.signup, &in); err != nil {
		return err
	}
	acc, err := a.Accounts.SignUp(c.UserContext(), chat.DefaultTenant, in.Username, in.Password, origin(c))
	if err != nil {
		return err
	}
	a.Accounts.KnowFrom(acc.Tenant, acc.Username, network(webapi.ClientIP(c)))
	return a.start(c, fiber.StatusCreated, acc)
}

func (a *API) postLogin(c *fiber.Ctx) error {
	var in credentials
	if err := a.limited(c, a.login, &in); err != nil {
		return err
	}
	acc, err := a.Accounts.LogIn(c.UserContext(), chat.DefaultTenant, in.Username, in.Password, network(webapi.ClientIP(c)))
	if err != nil {
		return err
	}
	return a.start(c, fiber.StatusOK, acc)
}

func (a *API) postGuest(c *fiber.Ctx) error {
	if !a.Guests {
		return chat.Errorf(chat.CodeForbidden, "guests are not admitted here: sign in with an account")
	}
	var in struct {
		Name string `json:"name"`
	}
	if err := a.limited(c, a.guest, &in); err != nil {
		return err
	}
	name, err := a.Accounts.CheckGuestName(c.UserContext(), chat.DefaultTenant, in.Name)
	if err != nil {
		return err
	}
	guest := chat.User{ID: chat.UserID(a.NewID()), Name: name, Kind: chat.KindGuest}
	grant, err := a.Sessions.Start(c.UserContext(), chat.DefaultTenant, guest, 0, origin(c))
	if err != nil {
		return err
	}
	return a.answer(c, fiber.StatusOK, grant)
}

func (a *API) postRefresh(c *fiber.Ctx) error {
	var in struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := a.limited(c, a.refresh, &in); err != nil {
		return err
	}
	tokens, byCookie, err := a.refreshTokens(c, in.RefreshToken)
	if err != nil {
		return err
	}
	var grant session.Grant
	for _, raw := range tokens {
		grant, err = a.Sessions.Refresh(c.UserContext(), chat.DefaultTenant, raw, origin(c))
		if chat.CodeOf(err) != chat.CodeUnauthenticated {
			break
		}
	}
	if byCookie && chat.CodeOf(err) == chat.CodeUnauthenticated {
		a.clearCookies(c) // so that the browser stops trying
	}
	if err != nil {
		return err
	}
	if grant.User.Kind == chat.KindUser {
		a.Accounts.KnowFrom(chat.DefaultTenant, grant.User.Name, network(webapi.ClientIP(c)))
	}
	return a.answer(c, fiber.StatusOK, grant)
}

// postLogout ends the session of the access token, or, where that has expired or is missing, of the
// refresh token: whoever wants out gets out.
func (a *API) postLogout(c *fiber.Ctx) error {
	var in struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := a.limited(c, a.logout, &in); err != nil {
		return err
	}
	caller, err := a.authenticator.SignedIn(c)
	switch {
	case err == nil:
		err = a.Sessions.End(c.UserContext(), caller.Tenant, caller.Session, origin(c))
	case chat.CodeOf(err) == chat.CodeUnauthenticated:
		tokens, _, otherwise := a.refreshTokens(c, in.RefreshToken)
		if otherwise != nil {
			return otherwise
		}
		for _, raw := range tokens {
			err = a.Sessions.EndByRefresh(c.UserContext(), chat.DefaultTenant, raw, origin(c))
			if chat.CodeOf(err) != chat.CodeUnauthenticated {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	a.clearCookies(c)
	return c.SendStatus(fiber.StatusNoContent)
}

func (a *API) postPassword(c *fiber.Ctx) error {
	caller, err := a.authenticator.SignedIn(c)
	if err != nil {
		return err
	}
	var in struct {
		Current string `json:"current"`
		New     string `json:"new"`
	}
	if err = a.limited(c, a.login, &in); err != nil {
		return err
	}
	if caller.User.Kind != chat.KindUser {
		return chat.Errorf(chat.CodeForbidden, "guests have no password")
	}
	acc, err := a.Accounts.ChangePassword(c.UserContext(), caller.Tenant, caller.User.ID, in.Current, in.New, network(webapi.ClientIP(c)), origin(c).As(caller.User.ID))
	if err != nil {
		return err
	}
	return a.start(c, fiber.StatusOK, acc)
}

func (a *API) getMe(c *fiber.Ctx) error {
	caller, err := a.authenticator.SignedIn(c)
	if err != nil {
		return err
	}
	if err := a.reads.Allow(string(caller.User.ID)); err != nil {
		return err
	}
	return c.JSON(struct {
		User chat.User `json:"user"`
	}{caller.User})
}

// limited reads the request's body, unless its address asks too often.
func (a *API) limited(c *fiber.Ctx, limiter *limit.Limiter, into any) error {
	if err := limiter.Allow(webapi.IPKey(webapi.ClientIP(c))); err != nil {
		return err
	}
	return webapi.Decode(c, into)
}

// refreshTokens returns the refresh token of the body, or else those of cookies; these only from an allowed origin.
func (a *API) refreshTokens(c *fiber.Ctx, inBody string) (tokens []string, byCookie bool, err error) {
	if inBody != "" {
		return []string{inBody}, false, nil
	}
	tokens = a.Browsers.RefreshTokens(c)
	if len(tokens) == 0 {
		return nil, false, chat.Errorf(chat.CodeUnauthenticated, "sign in first")
	}
	return tokens, true, a.Browsers.CheckOrigin(c)
}

func (a *API) start(c *fiber.Ctx, status int, acc account.Account) error {
	grant, err := a.Sessions.Start(c.UserContext(), acc.Tenant, acc.User(), acc.Generation, origin(c))
	if err != nil {
		return err
	}
	return a.answer(c, status, grant)
}

func (a *API) answer(c *fiber.Ctx, status int, g session.Grant) error {
	a.Browsers.SetCookie(c, a.Browsers.SessionCookie(), g.AccessToken, g.AccessExpires)
	a.Browsers.SetCookie(c, a.Browsers.RefreshCookie(), g.RefreshToken, g.RefreshExpires)
	return c.Status(status).JSON(signedIn{
		AccessToken: g.AccessToken, ExpiresIn: int64(g.AccessExpires.Seconds()), RefreshToken: g.RefreshToken, User: g.User,
	})
}

func (a *API) clearCookies(c *fiber.Ctx) {
	a.Browsers.SetCookie(c, a.Browsers.SessionCookie(), "", 0)
	a.Browsers.SetCookie(c, a.Browsers.RefreshCookie(), "", 0)
}
