package standalone

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/parley-chat/parley/pkg/datadir"
	"github.com/parley-chat/parley/services/auth"
)

// welcome tells people that everything runs. It is the last part to start.
type welcome struct {
	out     io.Writer
	address net.Addr
	hint    string
}

// Run implements lifecycle.Component.
func (w welcome) Run(ctx context.Context, ready func()) error {
	if _, err := fmt.Fprintf(w.out, "\nParley runs on http://%s\n%s\nCtrl-C stops it.\n\n", w.address, w.hint); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	ready()
	<-ctx.Done()
	return nil
}

// firstAdmin sees to it that there is an administrator, and says how to become it. What the
// operator named, auth has made already; without that, a password is made up, and shown this once.
func firstAdmin(ctx context.Context, people *auth.Service, config auth.Config) (hint string, err error) {
	if config.Admin.Username != "" {
		return "The administrator is " + config.Admin.Username + ", as PARLEY_ADMIN_USER says, unless there was one before.", nil
	}
	made, err := people.EnsureAdmin(ctx)
	if err != nil {
		return "", fmt.Errorf("make the first administrator: %w", err)
	}
	if made == nil {
		return "There is an administrator already. To make another: standalone createsuperuser NAME", nil
	}
	return "The first administrator is " + made.Username + ", password " + made.Password + "\n(shown only now: sign in with it and keep it)", nil
}

// held keeps hold of the data folder until everything that uses it has stopped.
type held struct{ dir *datadir.Dir }

// Run implements lifecycle.Component.
func (h held) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	return h.dir.Close()
}
