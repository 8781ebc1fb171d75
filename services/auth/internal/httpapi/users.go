package httpapi

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/auth/internal/account"
)

// user is an account as staff sees it.
type user struct {
	chat.User

	Disabled  bool      `json:"disabled"`
	CreatedAt chat.Time `json:"created_at"`
}

func userOf(a account.Account) user {
	return user{User: a.User(), Disabled: a.Disabled, CreatedAt: chat.At(a.Created)}
}

type userAnswer struct {
	User user `json:"user"`
}

// Pages of the list of users.
const (
	defaultUsers = 50
	maxUsers     = 200
)

// staff lets only staff pass, and not too often: chat.CodeForbidden for others.
func (a *API) staff(limiter *limit.Limiter, handle func(*fiber.Ctx, *webapi.Caller) error) fiber.Handler {
	return timed(func(c *fiber.Ctx) error {
		caller, err := a.authenticator.SignedIn(c)
		if err != nil {
			return err
		}
		if !caller.User.Staff {
			return chat.Errorf(chat.CodeForbidden, "this is for staff")
		}
		if err := limiter.Allow(string(caller.User.ID)); err != nil {
			return err
		}
		return handle(c, caller)
	})
}

func (a *API) getUsers(c *fiber.Ctx, caller *webapi.Caller) error {
	most := defaultUsers
	if text := c.Query("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range, it is the nearest number that is in it
			return chat.Errorf(chat.CodeBadRequest, "limit is a number")
		}
		most = min(max(n, 1), maxUsers)
	}
	cursor, err := base64.RawURLEncoding.DecodeString(c.Query("cursor"))
	if err != nil || !utf8.Valid(cursor) || strings.ContainsRune(string(cursor), 0) {
		return chat.Errorf(chat.CodeBadRequest, "the cursor is not one of ours")
	}
	page, next, err := a.Accounts.List(c.UserContext(), caller.Tenant, c.Query("q"), string(cursor), most)
	if err != nil {
		return err
	}
	answer := struct {
		Users []user `json:"users"`
		Next  string `json:"next,omitempty"`
	}{Users: make([]user, 0, len(page)), Next: base64.RawURLEncoding.EncodeToString([]byte(next))}
	for _, acc := range page {
		answer.Users = append(answer.Users, userOf(acc))
	}
	return c.JSON(answer)
}

func (a *API) postUser(c *fiber.Ctx, caller *webapi.Caller) error {
	var in struct {
		credentials

		Staff bool `json:"staff"`
	}
	if err := webapi.Decode(c, &in); err != nil {
		return err
	}
	acc, err := a.Accounts.Create(c.UserContext(), caller.Tenant, in.Username, in.Password, in.Staff, origin(c).As(caller.User.ID))
	if err != nil {
		return err
	}
	return c.Status(fiber.StatusCreated).JSON(userAnswer{userOf(acc)})
}

func (a *API) patchUser(c *fiber.Ctx, caller *webapi.Caller) error {
	var in struct {
		Staff    *bool   `json:"staff"`
		Disabled *bool   `json:"disabled"`
		Password *string `json:"password"`
	}
	if err := webapi.Decode(c, &in); err != nil {
		return err
	}
	id, err := userID(c)
	if err != nil {
		return err
	}
	acc, err := a.Accounts.Change(c.UserContext(), caller.Tenant, id, account.Patch{Staff: in.Staff, Disabled: in.Disabled, Password: in.Password}, origin(c).As(caller.User.ID))
	if err != nil {
		return err
	}
	return c.JSON(userAnswer{userOf(acc)})
}

func (a *API) deleteUser(c *fiber.Ctx, caller *webapi.Caller) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	if err := a.Accounts.Erase(c.UserContext(), caller.Tenant, id, origin(c).As(caller.User.ID)); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

// userID reads the id in the path; what can't be one is no user's.
func userID(c *fiber.Ctx) (chat.UserID, error) {
	id := c.Params("id")
	if strings.ContainsFunc(id, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') }) {
		return "", chat.Errorf(chat.CodeNotFound, "there is no such user")
	}
	return chat.UserID(id), nil
}
