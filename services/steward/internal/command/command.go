// Package command holds the subcommands of steward.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/services/steward"
)

const usage = `steward does the chores of a release inside its cluster:
  steward secrets SECRET/KEY=TEMPLATE…         make what is missing of a release's Secrets, and change nothing that is there.
                                               In a template {random} is 26 random characters, {key} what another key holds
  steward deletioncost                         go on telling Kubernetes which edge has the fewest connections
  steward check [flags]                        find out whether people can talk, at two edges
  steward upload --to PLACE [flags] FILE…      keep files as a backup, in s3://bucket/prefix or a folder
  steward download --from PLACE --into FOLDER  fetch a backup, the newest one if none is named
steward COMMAND --help lists the flags; docs/configuration.md has the variables`

// Command is the program: what it was called with and where it writes to.
type Command struct {
	Env         *env.Reader
	Args        []string // without the program's name
	Out, ErrOut io.Writer
}

// errUsage is that the command line can't be understood, which was said already.
var errUsage = errors.New("usage")

// Run does what Args say and returns the exit status: 1 where it failed, 2 where it does not know what to do.
func (c *Command) Run() int {
	name := ""
	if len(c.Args) > 0 {
		name = c.Args[0]
	}
	if name == "deletioncost" {
		return process.Run(c.Env, c.ErrOut, process.Defaults{Name: "steward", AdminListen: ":9090", LogFormat: "json"}, steward.Build)
	}
	chores := map[string]func(context.Context, []string) error{
		"secrets": c.secrets, "check": c.check, "upload": c.upload, "download": c.download,
	}
	chore, ok := chores[name]
	if !ok {
		_, _ = fmt.Fprintln(c.ErrOut, usage)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := chore(ctx, c.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	case err != nil:
		_, _ = fmt.Fprintf(c.ErrOut, "steward %s: %v\n", name, err)
		return 1
	}
	return 0
}

func (c *Command) say(format string, args ...any) { _, _ = fmt.Fprintf(c.Out, format+"\n", args...) }

// flags are those of a subcommand.
type flags struct {
	*flag.FlagSet

	timeout time.Duration
}

func (c *Command) flags(name, arguments string, timeout time.Duration) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	f.SetOutput(c.ErrOut)
	f.Usage = func() {
		_, _ = fmt.Fprintf(c.ErrOut, "usage: steward %s [flags]%s\n", name, arguments)
		f.PrintDefaults()
	}
	f.DurationVar(&f.timeout, "timeout", timeout, "how long it may take in all")
	return f
}

// parse reads args; some says whether there must be arguments besides flags.
func (f *flags) parse(args []string, some bool) error {
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if err == nil && f.NArg() > 0 != some {
		f.Usage()
		err = errUsage
	}
	if err != nil {
		return errUsage // what is wrong was said
	}
	return nil
}
