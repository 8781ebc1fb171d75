package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/observe"
	"github.com/parley-chat/parley/services/standalone/internal/datadir"
	"github.com/parley-chat/parley/services/standalone/internal/firstadmin"
)

// Usage is what the program is called with.
const Usage = `cluster run                     PostgreSQL, Redis, 1 auth, 2 rooms, 3 edges, web and a proxy, until Ctrl-C
cluster with-servers -- CMD...  runs CMD while a PostgreSQL and a Redis of its own run`

// Command is the program: what it was called with and where it writes to.
type Command struct {
	Args        []string // without the program's name
	Program     string   // the path of the program; the services' programs lie beside it
	Env         *env.Reader
	Environ     []string
	Out, ErrOut io.Writer
}

// Run does what Args say until it is done or ctx ends, and returns the exit status.
func (c *Command) Run(ctx context.Context) int {
	status, err := c.run(ctx)
	if err != nil {
		_, _ = fmt.Fprintln(c.ErrOut, err)
		return max(status, 1)
	}
	return status
}

func (c *Command) run(ctx context.Context) (int, error) {
	switch {
	case len(c.Args) == 1 && c.Args[0] == "run":
		return 0, c.runCluster(ctx)
	case len(c.Args) > 2 && c.Args[0] == "with-servers" && c.Args[1] == "--":
		return WithServers(ctx, c.Args[2:], c.Environ, c.Out, c.ErrOut)
	default:
		return 2, errors.New(Usage)
	}
}

// Settings are what `cluster run` reads itself; every other PARLEY_… goes on to the services.
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

func (c *Command) runCluster(ctx context.Context) (err error) {
	settings := SettingsFrom(c.Env)
	if err = c.Env.Err(); err != nil {
		return err
	}
	dir, err := datadir.Open(settings.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	admin, err := firstadmin.For(dir, settings.AdminUser)
	if err != nil {
		return err
	}
	config := Config{
		Listen: settings.Listen, Bin: filepath.Dir(c.Program), Rooms: 2, Edges: 3,
		Env: append(passedOn(c.Environ), admin.Environ()...),
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
		c.say("\nParley runs on " + cluster.URL + "\n" + admin.Hint() + "\nCtrl-C stops all of it.")
		if failure := admin.Done(); failure != nil {
			log.ErrorContext(ctx, "could not note the first start", slog.Any("error", failure))
		}
	}, parts...)
	c.say("stopped")
	return err
}

func (c *Command) say(message string) { _, _ = fmt.Fprintln(c.Out, message) }

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
