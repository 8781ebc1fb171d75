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

const usage = `steward performs the maintenance tasks of a release inside its cluster:
  steward secrets SECRET/KEY=TEMPLATE…           generate the missing keys of Secrets; existing keys never change.
                                                 In a template {random} is 26 random characters, {key} the value of another key
  steward deletioncost                           keep the pod deletion cost of each edge at its number of connections
  steward check [flags]                          check that people can talk at two edges
  steward upload --to STORAGE [flags] FILE…      store files as a backup, in s3://bucket/prefix or a folder
  steward download --from STORAGE --into FOLDER  download a backup, by default the newest
steward COMMAND --help lists the flags; docs/configuration.md lists the variables`

// Command is one run of the program: its environment, arguments and outputs.
type Command struct {
	Env         *env.Reader
	Args        []string // without the program's name
	Out, ErrOut io.Writer
}

// errUsage means that the command line is wrong. The message for the user has already been printed.
var errUsage = errors.New("usage")

// Run runs the subcommand in Args and returns the exit status: 1 if it failed, 2 if the command line is wrong.
func (c *Command) Run() int {
	name := ""
	if len(c.Args) > 0 {
		name = c.Args[0]
	}
	if name == "deletioncost" {
		return process.Run(c.Env, c.ErrOut, process.Defaults{Name: "steward", AdminListen: ":9090", LogFormat: "json"}, steward.Build)
	}
	subcommands := map[string]func(context.Context, []string) error{
		"secrets": c.secrets, "check": c.check, "upload": c.upload, "download": c.download,
	}
	run, ok := subcommands[name]
	if !ok {
		_, _ = fmt.Fprintln(c.ErrOut, usage)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, c.Args[1:])
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

func (c *Command) printf(format string, args ...any) { _, _ = fmt.Fprintf(c.Out, format+"\n", args...) }

// flags are the flags of a subcommand.
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
	f.DurationVar(&f.timeout, "timeout", timeout, "how long the command may take")
	return f
}

// parse parses args. There must be arguments after the flags if wantArgs is set, and none otherwise.
func (f *flags) parse(args []string, wantArgs bool) error {
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if err == nil && f.NArg() > 0 != wantArgs {
		f.Usage()
		err = errUsage
	}
	if err != nil {
		return errUsage // the flag package has printed the error
	}
	return nil
}
