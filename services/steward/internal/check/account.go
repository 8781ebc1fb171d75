package check

import (
	"context"
	"fmt"

	"github.com/parley-chat/parley/pkg/chat"
)

// Account is a user name and a password.
type Account struct{ Name, Password string }

// signInStep signs in as the account, or as a guest.
func (c *checker) signInStep(ctx context.Context) (string, error) {
	if err := c.signInAs(ctx); err != nil {
		return "", err
	}
	c.deferUndo(func(ctx context.Context) error { return c.auth.Logout(ctx, c.signIn.AccessToken) })
	return fmt.Sprintf("as %s, %s", c.signIn.User.Name, c.signIn.User.Kind), nil
}

func (c *checker) signInAs(ctx context.Context) error {
	if c.Account.Name == "" {
		err := c.signInAsGuest(ctx)
		if chat.CodeOf(err) == chat.CodeForbidden {
			return fmt.Errorf("guests are not allowed; give an account in PARLEY_CHECK_USER and PARLEY_CHECK_PASSWORD: %w", err)
		}
		return err
	}
	logIn := func() (err error) {
		c.signIn, err = c.auth.Login(ctx, c.Account.Name, c.Account.Password)
		return err
	}
	err := retry(ctx, logIn)
	if chat.CodeOf(err) != chat.CodeUnauthenticated {
		return err
	}
	if !c.MakeAccount {
		return fmt.Errorf("no account has this PARLEY_CHECK_USER and PARLEY_CHECK_PASSWORD: %w", err)
	}
	if err := c.makeAccount(ctx); err != nil {
		if c.signInAsGuest(ctx) == nil {
			c.printf("         as a guest, which checks less, because: %v", err)
			return nil
		}
		return err
	}
	return retry(ctx, logIn)
}

func (c *checker) signInAsGuest(ctx context.Context) error {
	return retry(ctx, func() (err error) {
		c.signIn, err = c.auth.Guest(ctx, "check-"+randomSuffix())
		return err
	})
}

// makeAccount creates the account as the administrator. If that fails, it signs the account up: the administrator's
// password may have changed since the installation, which must not make the check fail.
func (c *checker) makeAccount(ctx context.Context) error {
	var staffErr error
	if c.Administrator.Name != "" {
		staffErr = retry(ctx, func() error {
			staff, err := c.auth.Login(ctx, c.Administrator.Name, c.Administrator.Password)
			if err != nil {
				return err
			}
			defer func() { _ = c.auth.Logout(context.WithoutCancel(ctx), staff.AccessToken) }()
			return c.auth.CreateUser(ctx, staff.AccessToken, c.Account.Name, c.Account.Password, true)
		})
		if staffErr == nil {
			c.printf("         the administrator created the account %s", c.Account.Name)
			return nil
		}
	}
	err := retry(ctx, func() error {
		_, err := c.auth.Signup(ctx, c.Account.Name, c.Account.Password)
		return err
	})
	switch {
	case err == nil:
		c.printf("         signed up the account %s", c.Account.Name)
		return nil
	case chat.CodeOf(err) == chat.CodeConflict || chat.CodeOf(staffErr) == chat.CodeConflict:
		return fmt.Errorf("the account %s exists, but its password is not PARLEY_CHECK_PASSWORD: %w", c.Account.Name, err)
	case staffErr != nil:
		return fmt.Errorf("there is no account %s yet, sign-up is closed, and %s can't create it (%w). "+
			"If that password was changed, create the account by hand: auth createsuperuser %s, with the password of PARLEY_CHECK_PASSWORD: %w",
			c.Account.Name, c.Administrator.Name, staffErr, c.Account.Name, err)
	default:
		return fmt.Errorf("there is no account %s yet, and sign-up is closed. Create it by hand: auth createsuperuser %s, with the password of PARLEY_CHECK_PASSWORD: %w",
			c.Account.Name, c.Account.Name, err)
	}
}
