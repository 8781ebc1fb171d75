package check

import (
	"context"
	"fmt"

	"github.com/parley-chat/parley/pkg/chat"
)

// Account is one to sign in as.
type Account struct{ Name, Password string }

// enter signs in as the account, or as a guest.
func (c *checker) enter(ctx context.Context) (string, error) {
	if err := c.signInAs(ctx); err != nil {
		return "", err
	}
	c.later(func(ctx context.Context) error { return c.auth.Logout(ctx, c.signIn.AccessToken) })
	return fmt.Sprintf("as %s, %s", c.signIn.User.Name, c.signIn.User.Kind), nil
}

func (c *checker) signInAs(ctx context.Context) error {
	if c.Account.Name == "" {
		err := c.comeAsGuest(ctx)
		if chat.CodeOf(err) == chat.CodeForbidden {
			return fmt.Errorf("guests may not come in here; give an account in PARLEY_CHECK_USER and PARLEY_CHECK_PASSWORD: %w", err)
		}
		return err
	}
	logIn := func() (err error) {
		c.signIn, err = c.auth.Login(ctx, c.Account.Name, c.Account.Password)
		return err
	}
	err := patiently(ctx, logIn)
	if chat.CodeOf(err) != chat.CodeUnauthenticated {
		return err
	}
	if !c.MakeAccount {
		return fmt.Errorf("PARLEY_CHECK_USER and PARLEY_CHECK_PASSWORD are not those of an account: %w", err)
	}
	if err := c.makeAccount(ctx); err != nil {
		if c.comeAsGuest(ctx) == nil {
			c.say("         as a guest, which checks less, since: %v", err)
			return nil
		}
		return err
	}
	return patiently(ctx, logIn)
}

func (c *checker) comeAsGuest(ctx context.Context) error {
	return patiently(ctx, func() (err error) {
		c.signIn, err = c.auth.Guest(ctx, "check-"+tag())
		return err
	})
}

// makeAccount has the administrator make the account, or signs it up itself: the administrator's password may have been changed
// since it was noted, which must not keep the release from being checked.
func (c *checker) makeAccount(ctx context.Context) error {
	var byStaff error
	if c.Administrator.Name != "" {
		byStaff = patiently(ctx, func() error {
			staff, err := c.auth.Login(ctx, c.Administrator.Name, c.Administrator.Password)
			if err != nil {
				return err
			}
			defer func() { _ = c.auth.Logout(context.WithoutCancel(ctx), staff.AccessToken) }()
			return c.auth.CreateUser(ctx, staff.AccessToken, c.Account.Name, c.Account.Password, true)
		})
		if byStaff == nil {
			c.say("         the administrator made the account %s", c.Account.Name)
			return nil
		}
	}
	err := patiently(ctx, func() error {
		_, err := c.auth.Signup(ctx, c.Account.Name, c.Account.Password)
		return err
	})
	switch {
	case err == nil:
		c.say("         signed %s up", c.Account.Name)
		return nil
	case chat.CodeOf(err) == chat.CodeConflict || chat.CodeOf(byStaff) == chat.CodeConflict:
		return fmt.Errorf("there is an account %s, which has another password than that of PARLEY_CHECK_PASSWORD: %w", c.Account.Name, err)
	case byStaff != nil:
		return fmt.Errorf("there is no account %s yet, nobody may sign up, and %s can't make it (%w). "+
			"If that password was changed, make the account by hand: auth createsuperuser %s, with the password of PARLEY_CHECK_PASSWORD: %w",
			c.Account.Name, c.Administrator.Name, byStaff, c.Account.Name, err)
	default:
		return fmt.Errorf("there is no account %s yet, and nobody may sign up. Make it by hand: auth createsuperuser %s, with the password of PARLEY_CHECK_PASSWORD: %w",
			c.Account.Name, c.Account.Name, err)
	}
}
