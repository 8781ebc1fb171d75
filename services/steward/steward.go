// Package steward performs the maintenance tasks of a release inside its cluster: it generates the release's secrets,
// sets the pod deletion cost of the edges, checks that people can talk, and stores backups. This package has the
// configuration of all tasks, and the one task that runs permanently.
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

// Account is a user name and a password.
type Account struct{ Name, Password string }

// AccountFrom reads the account that checks a release. An empty name means a guest.
func AccountFrom(r *env.Reader) Account {
	a := Account{
		Name:     r.String("PARLEY_CHECK_USER", "", "The account that `steward check` signs in as. It must be allowed to create rooms. Without one, the check signs in as a guest."),
		Password: r.Secret("PARLEY_CHECK_PASSWORD", "The password of `PARLEY_CHECK_USER`."),
	}
	if (a.Name == "") != (a.Password == "") {
		r.Mistake("PARLEY_CHECK_USER and PARLEY_CHECK_PASSWORD (or PARLEY_CHECK_PASSWORD_FILE) must be set together")
	}
	return a
}

// AdministratorFrom reads the administrator that creates the account for checks.
func AdministratorFrom(r *env.Reader) Account {
	a := Account{
		Name:     r.String("PARLEY_CHECK_ADMIN_USER", "", "The administrator that creates the account of `PARLEY_CHECK_USER` for `steward check --make-account`. Without one, the account signs itself up."),
		Password: r.Secret("PARLEY_CHECK_ADMIN_PASSWORD", "The password of `PARLEY_CHECK_ADMIN_USER`."),
	}
	if (a.Name == "") != (a.Password == "") {
		r.Mistake("PARLEY_CHECK_ADMIN_USER and PARLEY_CHECK_ADMIN_PASSWORD (or PARLEY_CHECK_ADMIN_PASSWORD_FILE) must be set together")
	}
	return a
}

// Keys are the credentials of an S3 bucket.
type Keys struct {
	Access, Secret, Session string
	CAFile                  string
}

// KeysFrom reads the credentials of the bucket for backups.
func KeysFrom(r *env.Reader) Keys {
	return Keys{
		Access:  r.Secret("PARLEY_S3_ACCESS_KEY", "The access key of the bucket that stores the backups."),
		Secret:  r.Secret("PARLEY_S3_SECRET_KEY", "The secret key of the bucket that stores the backups."),
		Session: r.Secret("PARLEY_S3_SESSION_TOKEN", "The session token of the bucket that stores the backups, if its keys are temporary."),
		CAFile:  r.String("PARLEY_S3_CA_FILE", "", "A file with the CA certificates of the S3 server, if no public CA signed its certificate."),
	}
}

// Build makes the parts of `steward deletioncost`.
func Build(_ context.Context, p *process.Process) ([]lifecycle.Part, error) {
	options := deletioncost.Options{
		Selector: p.Env.Required("PARLEY_STEWARD_SELECTOR", "The label selector of the pods that `steward deletioncost` watches, such as `app.kubernetes.io/component=edge`."),
		Every:    p.Env.Duration("PARLEY_STEWARD_EVERY", 10*time.Second, "How often `steward deletioncost` reads the number of connections of each edge."),
		Port:     p.Env.Int("PARLEY_STEWARD_EDGE_PORT", 9090, 1, "The port of the edges' admin listeners, for `steward deletioncost`."),
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
