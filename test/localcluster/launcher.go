package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/parley-chat/parley/pkg/datadir"
	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/observe"
)

// Launcher runs a cluster for people: where the services' programs lie, and what it is given and writes to.
type Launcher struct {
	Bin         string
	Env         *env.Reader
	Environ     []string
	Out, ErrOut io.Writer
}

// Settings are what the launcher reads itself; every other PARLEY_… goes on to the services.
type Settings struct {
	Listen, Data, AdminUser string
	Log                     observe.LogConfig
}

// SettingsFrom reads the environment.
func SettingsFrom(r *env.Reader) Settings {
	return Settings{
		Listen:    r.String("PARLEY_LISTEN", "127.0.0.1:8000", "Where the proxy listens."),
		Data:      r.String("PARLEY_DATA", "./data/cluster", "The folder that keeps the databases, secrets and logs."),
		AdminUser: r.String("PARLEY_ADMIN_USER", "", "The first administrator, made at the first start if there is none; with PARLEY_ADMIN_PASSWORD_FILE. Unset: `admin` with a generated password, printed once."),
		Log:       observe.LogConfigFrom(r, "text"),
	}
}

// Run runs everything until ctx ends.
func (c *Launcher) Run(ctx context.Context) (err error) {
	settings := SettingsFrom(c.Env)
	if err = c.Env.Err(); err != nil {
		return err
	}
	dir, err := datadir.Open(settings.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	admin, err := firstAdminFor(dir, settings.AdminUser)
	if err != nil {
		return err
	}
	config := Config{
		Listen: settings.Listen, Bin: c.Bin, Rooms: 2, Edges: 3,
		Env: append(passedOn(c.Environ), admin.environ()...),
	}
	log := observe.NewLogger(c.ErrOut, settings.Log)
	cluster, err := New(ctx, config, dir, log, c.say)
	if err != nil {
		return err
	}
	parts := cluster.Parts()
	var names []string
	for _, part := range parts {
		names = append(names, part.Name)
	}
	c.say("starting " + strings.Join(names, ", ") + " ...")
	err = lifecycle.Run(ctx, func() {
		_ = cluster.Table(c.Out)
		c.say("\nParley runs on " + cluster.URL + "\n" + admin.hint() + "\nCtrl-C stops all of it.")
		if failure := admin.done(); failure != nil {
			log.ErrorContext(ctx, "could not note the first start", slog.Any("error", failure))
		}
	}, parts...)
	c.say("stopped")
	return err
}

func (c *Launcher) say(message string) { _, _ = fmt.Fprintln(c.Out, message) }

// passedOn is what the services are given of the environment: theirs, and what every program needs.
// What is the launcher's own stays here.
func passedOn(environ []string) []string {
	var passed []string
	for _, item := range environ {
		name, _, _ := strings.Cut(item, "=")
		switch name {
		case "PARLEY_DATA", "PARLEY_LISTEN", "PARLEY_REDIS_PASSWORD", "PARLEY_REDIS_PASSWORD_FILE": // the Redis is the launcher's own
			continue
		case "PATH", "HOME", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG":
			passed = append(passed, item)
		default:
			if strings.HasPrefix(name, "PARLEY_") {
				passed = append(passed, item)
			}
		}
	}
	return passed
}
