// Package steward does the chores of a release inside its cluster: makes up its secrets, tells
// Kubernetes which edge is the emptiest, checks that people can talk, and keeps backups. This package is
// the one chore that never ends, and what all of them are configured by.
package steward

import (
	"context"
	"time"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/services/steward/internal/deletioncost"
	"github.com/parley-chat/parley/services/steward/internal/kube"
)

// Account is who checks a release.
type Account struct{ Name, Password string }

// AccountFrom reads who checks a release; without a name it is a guest.
func AccountFrom(r *env.Reader) Account {
	a := Account{
		Name:     r.String("PARLEY_CHECK_USER", "", "Whom `steward check` signs in as, who may make rooms; nobody: it comes as a guest."),
		Password: r.Secret("PARLEY_CHECK_PASSWORD", "Their password."),
	}
	if (a.Name == "") != (a.Password == "") {
		r.Mistake("PARLEY_CHECK_USER and PARLEY_CHECK_PASSWORD (or PARLEY_CHECK_PASSWORD_FILE) are needed both or not at all")
	}
	return a
}

// AdministratorFrom reads who may make the account that checks a release.
func AdministratorFrom(r *env.Reader) Account {
	a := Account{
		Name:     r.String("PARLEY_CHECK_ADMIN_USER", "", "Who makes that account for `steward check --make-account`; nobody: it signs itself up."),
		Password: r.Secret("PARLEY_CHECK_ADMIN_PASSWORD", "Their password."),
	}
	if (a.Name == "") != (a.Password == "") {
		r.Mistake("PARLEY_CHECK_ADMIN_USER and PARLEY_CHECK_ADMIN_PASSWORD (or PARLEY_CHECK_ADMIN_PASSWORD_FILE) are needed both or not at all")
	}
	return a
}

// Keys open an S3 bucket.
type Keys struct {
	Access, Secret, Session string
	CAFile                  string
}

// KeysFrom reads the keys of the bucket that backups go to.
func KeysFrom(r *env.Reader) Keys {
	return Keys{
		Access:  r.Secret("PARLEY_S3_ACCESS_KEY", "The access key of the bucket that backups are kept in."),
		Secret:  r.Secret("PARLEY_S3_SECRET_KEY", "The secret key of that bucket."),
		Session: r.Secret("PARLEY_S3_SESSION_TOKEN", "The session token, where the keys are temporary ones."),
		CAFile:  r.String("PARLEY_S3_CA_FILE", "", "A file with the certificates of the CA of the S3 server, where no public one signed it."),
	}
}

// Build makes the parts of `steward deletioncost`.
func Build(_ context.Context, p *process.Process) ([]lifecycle.Part, error) {
	options := deletioncost.Options{
		Selector: p.Env.Required("PARLEY_STEWARD_SELECTOR", "Which pods `steward deletioncost` watches, such as `app.kubernetes.io/component=edge`."),
		Every:    p.Env.Duration("PARLEY_STEWARD_EVERY", 10*time.Second, "How often it asks each of them for its connections."),
		Port:     p.Env.Int("PARLEY_STEWARD_EDGE_PORT", 9090, 1, "The port of their admin listeners."),
		Log:      p.Log, Registry: p.Registry,
	}
	if options.Every < time.Second {
		p.Env.Mistake("PARLEY_STEWARD_EVERY: %s is less than 1s", options.Every)
	}
	api, err := kube.InCluster(p.Env, kube.Mounted)
	if err != nil {
		return nil, err
	}
	options.API = api
	return []lifecycle.Part{{Name: "deletion cost", Component: deletioncost.New(options)}}, nil
}
