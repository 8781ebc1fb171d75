package localcluster

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/parley-chat/parley/pkg/datadir"
)

const (
	generatedAdmin = "admin"
	passwordFile   = "first-admin-password" // until the first start is done
	startedFile    = "started"              // from then on
)

// firstAdmin is what auth is told of the first administrator of a fresh data folder: the one that the operator
// names, or else "admin" with a password made up and shown once. Auth makes the account if there is none.
type firstAdmin struct {
	dir      *datadir.Dir
	named    string // by the operator
	password string // generated
}

// firstAdminFor looks at the data folder and at the name that the operator gave, "" for none.
func firstAdminFor(dir *datadir.Dir, named string) (firstAdmin, error) {
	a := firstAdmin{dir: dir, named: named}
	if named != "" {
		return a, nil
	}
	switch _, err := os.Stat(dir.Path(startedFile)); {
	case err == nil:
		return a, nil
	case !errors.Is(err, fs.ErrNotExist):
		return firstAdmin{}, fmt.Errorf("data folder: %w", err)
	}
	// Kept until it was shown: a start that fails half way must not leave an account that nobody can use.
	var err error
	a.password, err = dir.Secret(passwordFile, rand.Text)
	return a, err
}

// environ is what auth's environment gets on top.
func (a firstAdmin) environ() []string {
	if a.password == "" {
		return nil
	}
	return []string{"PARLEY_ADMIN_USER=" + generatedAdmin, "PARLEY_ADMIN_PASSWORD=" + a.password}
}

// hint says how to become the administrator.
func (a firstAdmin) hint() string {
	switch {
	case a.password != "":
		return "The first administrator is " + generatedAdmin + ", password " + a.password + " (shown only now: keep it)"
	case a.named != "":
		return "The first administrator is " + a.named + ", as PARLEY_ADMIN_USER and PARLEY_ADMIN_PASSWORD_FILE said"
	default:
		return "The first administrator was made at the first start"
	}
}

// done notes that the first start is done and its hint was shown.
func (a firstAdmin) done() error {
	if err := os.WriteFile(a.dir.Path(startedFile), nil, 0o600); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if err := os.Remove(a.dir.Path(passwordFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data folder: %w", err)
	}
	return nil
}
