// Package process is what every main of Parley does alike: read the environment, log, serve the
// admin listener, run the parts until a signal, and say in plain words what is wrong.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/signal"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	_ "golang.org/x/crypto/x509roots/fallback" // Mozilla's roots, for images in which there are none

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/listen"
	"github.com/parley-chat/parley/pkg/observe"
	"github.com/parley-chat/parley/pkg/trace"
)

// Process is what a service's parts are built with.
type Process struct {
	Env       *env.Reader
	Log       *slog.Logger
	Registry  *prometheus.Registry
	Readiness *observe.Readiness
	Tracer    *trace.Tracer // nil where tracing is off
	// Admin is where the admin listener listens.
	Admin net.Addr
}

// WarnOf is how a part says what an operator should mend.
func (p *Process) WarnOf(part string) func(warning string) {
	return func(warning string) { p.Readiness.Warn(part, warning) }
}

// Defaults are what differs between services on a laptop and in a cluster.
type Defaults struct {
	Name        string // of the service, as traces tell it
	AdminListen string // of PARLEY_ADMIN_LISTEN
	LogFormat   string // of PARLEY_LOG_FORMAT
}

// Build reads the service's configuration from p.Env, returns p.Env.Err() if that is not nil, and
// makes the parts, in the order in which they start.
type Build func(ctx context.Context, p *Process) ([]lifecycle.Part, error)

// Run runs a service until SIGINT or SIGTERM and returns its exit status. What went wrong is on errors.
func Run(reader *env.Reader, errors io.Writer, defaults Defaults, build Build) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, reader, errors, defaults, build); err != nil {
		_, _ = fmt.Fprintln(errors, err)
		return 1
	}
	return 0
}

func run(ctx context.Context, reader *env.Reader, out io.Writer, defaults Defaults, build Build) (err error) {
	logs := observe.LogConfigFrom(reader, defaults.LogFormat)
	adminListen, profiles := Admin(reader, defaults.AdminListen)
	tracing := observe.TraceConfigFrom(reader)
	readiness := &observe.Readiness{}
	p := &Process{Env: reader, Log: observe.NewLogger(out, logs), Registry: observe.NewRegistry(readiness), Readiness: readiness}
	made := observe.ThisBuild()
	p.Log.InfoContext(ctx, "starting", slog.String("version", made.Version), slog.String("commit", made.Commit), slog.String("date", made.Date), slog.String("go", made.Go))
	traces, tracer, err := observe.NewTraces(ctx, tracing, defaults.Name, p.Log)
	if err != nil {
		return errors.Join(reader.Err(), err)
	}
	p.Tracer = tracer

	listener, err := listen.Open(ctx, "PARLEY_ADMIN_LISTEN", adminListen, listen.Options{Log: p.Log, Max: listen.BudgetHere().Admin})
	if err != nil {
		return errors.Join(reader.Err(), err)
	}
	p.Admin = listener.Addr()
	parts, err := build(ctx, p)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	admin := &observe.Admin{Listener: listener, Registry: p.Registry, Readiness: p.Readiness, Profiles: profiles}
	parts = append([]lifecycle.Part{{Name: "traces", Component: traces}, {Name: "admin", Component: admin}}, parts...)

	// Unready first of all: whoever routes to us needs time to notice.
	defer context.AfterFunc(ctx, func() { p.Readiness.Set(false) })()
	err = lifecycle.Run(ctx, func() {
		p.Readiness.Set(ctx.Err() == nil)
		p.Log.InfoContext(ctx, "ready", slog.String("admin", p.Admin.String()))
	}, parts...)
	p.Log.InfoContext(ctx, "stopped")
	return err
}

// Version prints what the program was made of, where that is all that args, the program's arguments without its
// name, ask for.
func Version(args []string, out io.Writer) bool {
	if len(args) != 1 || strings.TrimLeft(args[0], "-") != "version" {
		return false
	}
	_, _ = fmt.Fprintln(out, observe.ThisBuild())
	return true
}

// Admin reads PARLEY_ADMIN_LISTEN and PARLEY_PROFILES.
func Admin(r *env.Reader, fallback string) (listen string, profiles bool) {
	return r.String("PARLEY_ADMIN_LISTEN", fallback, "Where /livez, /readyz and /metrics are served. No Ingress may route to it."),
		r.Bool("PARLEY_PROFILES", false, "Serves Go's profiles under /debug/pprof/ there too. They show what is in memory.")
}
