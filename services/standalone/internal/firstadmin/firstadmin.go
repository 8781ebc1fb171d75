// Package firstadmin gives a fresh Parley on one machine its first administrator: the one that the
// operator names, or else "admin" with a password made up and shown once. There is no default one.
package firstadmin

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/parley-chat/parley/services/standalone/internal/datadir"
)

const (
	user         = "admin"
	passwordFile = "first-admin-password" // until the first start is done
	startedFile  = "started"              // from then on
)

// Admin is what auth is told of the first administrator. It makes the account if there is none.
type Admin struct {
	dir      *datadir.Dir
	named    string // by the operator
	password string // generated
}

// For looks at the data folder and at the name that the operator gave, "" for none.
func For(dir *datadir.Dir, named string) (Admin, error) {
	a := Admin{dir: dir, named: named}
	if named != "" {
		return a, nil
	}
	switch _, err := os.Stat(dir.Path(startedFile)); {
	case err == nil:
		return a, nil
	case !errors.Is(err, fs.ErrNotExist):
		return Admin{}, fmt.Errorf("data folder: %w", err)
	}
	// Kept until it was shown: a start that fails half way must not leave an account that nobody can use.
	var err error
	a.password, err = dir.Secret(passwordFile, rand.Text)
	return a, err
}

// Environ is what auth's environment gets on top.
func (a Admin) Environ() []string {
	if a.password == "" {
		return nil
	}
	return []string{"PARLEY_ADMIN_USER=" + user, "PARLEY_ADMIN_PASSWORD=" + a.password}
}

// Hint says how to become the administrator.
func (a Admin) Hint() string {
	switch {
	case a.password != "":
		return "The first administrator is " + user + ", password " + a.password + " (shown only now: keep it)"
	case a.named != "":
		return "The first administrator is " + a.named + ", as PARLEY_ADMIN_USER and PARLEY_ADMIN_PASSWORD_FILE said"
	default:
		return "The first administrator was made at the first start"
	}
}

// Done notes that the first start is done and its hint was shown.
func (a Admin) Done() error {
	if err := os.WriteFile(a.dir.Path(startedFile), nil, 0o600); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if err := os.Remove(a.dir.Path(passwordFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data folder: %w", err)
	}
	return nil
}
