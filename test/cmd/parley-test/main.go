// Command parley-test has all that runs or tries a whole Parley on this machine: a cluster of processes, and the
// instruments that harm, load and measure one.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/parley-chat/parley/test/harness"
)

// commands are the subcommands.
type commands struct {
	Cluster clusterCommands `cmd:"" help:"A cluster on this machine, or its servers alone."`
	Faults  faultsCommand   `cmd:"" help:"Kill, cut, empty and restore all there is while clients talk: nothing acked may get lost."`

	onLinux `embed:""`
}

// program is what every subcommand is given.
type program struct {
	context.Context //nolint:containedctx // kong binds values, and this is the command's

	path        string
	out, errOut io.Writer
	status      int
}

// bin is the folder of the programs: the services' lie beside this one.
func (p *program) bin() string { return filepath.Dir(p.path) }

// instrument is how an instrument runs as this program.
func (p *program) instrument(name, json string) harness.Instrument {
	return harness.Instrument{Name: name, JSON: json, Out: p.out, ErrOut: p.errOut}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // who asks twice is not kept waiting
	path, err := os.Executable()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(harness.StatusUnknown)
	}
	p := &program{Context: ctx, path: path, out: os.Stdout, errOut: os.Stderr}
	command := kong.Parse(&commands{}, kong.Name("parley-test"), kong.UsageOnError(),
		kong.Description("Runs and tries a whole Parley on this machine."))
	if err := command.Run(p); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(max(p.status, 1))
	}
	os.Exit(p.status)
}
