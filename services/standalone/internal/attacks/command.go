//go:build linux

package attacks

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
	flags := flag.NewFlagSet("attacks", flag.ContinueOnError)
	flags.SetOutput(c.ErrOut)
	o := Options{Out: c.Out, Log: slog.New(slog.DiscardHandler), Bin: filepath.Dir(c.Program)}
	seconds := flags.Float64("seconds", 300, "how long the attacks last")
	flags.IntVar(&o.People, "people", 100, "who talk meanwhile")
	flags.DurationVar(&o.Before, "before", 30*time.Second, "how long they talk undisturbed before")
	flags.StringVar(&jsonFile, "json", "", "a file that takes the report as JSON")
	if err = flags.Parse(c.Args); err != nil {
		return nil, "", err
	}
	if o.Lasts = time.Duration(*seconds * float64(time.Second)); flags.NArg() > 0 || o.Lasts <= 0 || o.Before <= 0 || o.People < 2 {
		return nil, "", errors.New("usage: attacks [flags]; attacks -help lists them")
	}
	if o.Folder, err = os.MkdirTemp("", "parley-attacks-"); err != nil {
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
