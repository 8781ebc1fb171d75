package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/parley-chat/parley/pkg/lifecycle"
)

// WithServers runs command while a PostgreSQL and a Redis of its own run in a temporary folder, and
// tells it where by PARLEY_TEST_POSTGRES and PARLEY_TEST_REDIS. It returns the command's exit status.
func WithServers(ctx context.Context, command, environ []string, out, errOut io.Writer) (status int, err error) {
	folder, err := os.MkdirTemp("", "parley-servers-")
	if err != nil {
		return 1, fmt.Errorf("temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	taken := map[string]bool{}
	postgresAddress, err := freeAddress(ctx, taken)
	if err != nil {
		return 1, err
	}
	redisAddress, err := freeAddress(ctx, taken)
	if err != nil {
		return 1, err
	}
	postgres := Postgres{
		Folder: folder + "/postgres", Address: postgresAddress, Password: "test", LogFile: folder + "/postgres.log", Throwaway: true,
	}
	redis := Redis{Name: "redis", Folder: folder + "/redis", Address: redisAddress, Password: "test", LogFile: folder + "/redis.log"}
	postgresChild, err := postgres.Child(ctx)
	if err != nil {
		return 1, err
	}
	redisChild, err := redis.Child()
	if err != nil {
		return 1, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	run := &run{
		args: command, out: out, errOut: errOut, stop: stop, status: 1,
		env: slices.Concat(environ, []string{"PARLEY_TEST_POSTGRES=" + postgres.URL("postgres"), "PARLEY_TEST_REDIS=" + redis.URL()}),
	}
	err = lifecycle.Run(ctx, func() {},
		lifecycle.Part{Name: "postgres", Component: postgresChild},
		lifecycle.Part{Name: "redis", Component: redisChild},
		lifecycle.Part{Name: "command", Component: run})
	return run.status, err
}

// run is a command that stops everything when it ends.
type run struct {
	args, env   []string
	out, errOut io.Writer
	stop        context.CancelFunc
	status      int
}

// Run implements lifecycle.Component.
func (r *run) Run(ctx context.Context, ready func()) error {
	ready()
	cmd := exec.CommandContext(ctx, r.args[0], r.args[1:]...) //nolint:gosec // the command is the caller's
	cmd.Env, cmd.Stdout, cmd.Stderr = r.env, r.out, r.errOut
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 20 * time.Second
	err := cmd.Run()
	r.status = cmd.ProcessState.ExitCode() // -1 where it never started
	r.stop()
	<-ctx.Done()
	if _, ended := errors.AsType[*exec.ExitError](err); ended {
		return nil // its status says it
	}
	return err
}
