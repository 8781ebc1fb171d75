//go:build linux

package soak

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// Command is the program: what it was called with and where it writes to.
type Command struct {
	Args        []string // without the program's name
	Program     string   // the path of the program; the services' programs lie beside it
	Out, ErrOut io.Writer
}

// Run does what Args say and returns the exit status: 1 where a verdict does not hold, 2 where nothing
// could be found out.
func (c *Command) Run(ctx context.Context) int {
	report, jsonFile, err := c.run(ctx)
	if report != nil {
		report.Write(c.Out)
		if jsonFile != "" {
			err = errors.Join(err, report.Save(jsonFile))
		}
	}
	switch {
	case err != nil:
		_, _ = fmt.Fprintln(c.ErrOut, err)
		return 2
	case !report.Holds():
		return 1
	}
	return 0
}

func (c *Command) run(ctx context.Context) (report *Report, jsonFile string, err error) {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(c.ErrOut)
	o := Options{Out: c.Out, Log: slog.New(slog.DiscardHandler), Bin: filepath.Dir(c.Program)}
	minutes := flags.Float64("minutes", 60, "how long the load lasts")
	flags.IntVar(&o.Seats, "clients", 40, "clients that are there at a time, about")
	flags.DurationVar(&o.Every, "every", 10*time.Second, "between samples")
	flags.Uint64Var(&o.Seed, "seed", 1, "of what the clients do")
	flags.StringVar(&jsonFile, "json", "", "a file that takes verdicts and samples as JSON")
	if err = flags.Parse(c.Args); err != nil {
		return nil, "", err
	}
	if o.Lasts = time.Duration(*minutes * float64(time.Minute)); flags.NArg() > 0 || o.Lasts < 10*o.Every || o.Every <= 0 || o.Seats < 1 {
		return nil, "", errors.New("usage: soak [flags]; soak -help lists them; there must be time for ten samples")
	}
	if o.Folder, err = os.MkdirTemp("", "parley-soak-"); err != nil {
		return nil, "", fmt.Errorf("temporary folder: %w", err)
	}
	report, err = Run(ctx, o)
	if err == nil && report.Holds() {
		err = os.RemoveAll(o.Folder)
	} else {
		_, _ = fmt.Fprintln(c.ErrOut, "data and logs of the run stay in", o.Folder)
	}
	return report, jsonFile, err
}
