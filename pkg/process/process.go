// Package process is the common part of every main of Parley: it reads the environment, sets up logs, metrics
// and traces, serves the admin listener, runs the parts until a signal, and prints what went wrong.
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
	_ "golang.org/x/crypto/x509roots/fallback" // Mozilla's root certificates, for images without any

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/listen"
	"github.com/parley-chat/parley/pkg/observe"
	"github.com/parley-chat/parley/pkg/trace"
)

// Process holds what a service needs to build its parts.
type Process struct {
	Env       *env.Reader
	Log       *slog.Logger
	Registry  *prometheus.Registry
	Readiness *observe.Readiness
	Tracer    *trace.Tracer // nil if tracing is off
	Admin     net.Addr      // of the admin listener
}

// WarnFunc returns the function by which a part reports a problem that an operator should fix.
func (p *Process) WarnFunc(part string) func(warning string) {
	return func(warning string) { p.Readiness.Warn(part, warning) }
}

// Defaults are the settings that differ between services, and between the standalone server and a cluster.
type Defaults struct {
	Name        string // of the service, in traces
	AdminListen string // of PARLEY_ADMIN_LISTEN
	LogFormat   string // of PARLEY_LOG_FORMAT
}

// Build reads the service's configuration from p.Env, returns p.Env.Err() if that is not nil, and
// returns the parts in starting order.
type Build func(ctx context.Context, p *Process) ([]lifecycle.Part, error)

// Run runs a service until SIGINT or SIGTERM and returns its exit status. It prints failures to errors.
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
	program := observe.ThisBuild()
	p.Log.InfoContext(ctx, "starting", slog.String("version", program.Version), slog.String("commit", program.Commit), slog.String("date", program.Date), slog.String("go", program.Go))
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

	// Become unready before any part stops: load balancers need time to notice.
	defer context.AfterFunc(ctx, func() { p.Readiness.Set(false) })()
	err = lifecycle.Run(ctx, func() {
		p.Readiness.Set(ctx.Err() == nil)
		p.Log.InfoContext(ctx, "ready", slog.String("admin", p.Admin.String()))
	}, parts...)
	p.Log.InfoContext(ctx, "stopped")
	return err
}

// Version prints the build if args, the program's arguments without its name, are just `version`. It reports
// whether it did.
func Version(args []string, out io.Writer) bool {
	if len(args) != 1 || strings.TrimLeft(args[0], "-") != "version" {
		return false
	}
	_, _ = fmt.Fprintln(out, observe.ThisBuild())
	return true
}

// Admin reads PARLEY_ADMIN_LISTEN and PARLEY_PROFILES.
func Admin(r *env.Reader, fallback string) (listen string, profiles bool) {
	return r.String("PARLEY_ADMIN_LISTEN", fallback, "The address that serves /livez, /readyz and /metrics. No Ingress may route to it."),
		r.Bool("PARLEY_PROFILES", false, "Whether the admin listener also serves Go's profiles under /debug/pprof/. Profiles can reveal data in memory.")
}
