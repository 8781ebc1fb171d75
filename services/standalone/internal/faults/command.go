package faults

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-chat/parley/pkg/env"
)

// Command is the program: what it was called with and where it writes to.
type Command struct {
	Args        []string // without the program's name
	Program     string   // the path of the program; the services' programs lie beside it
	Env         *env.Reader
	Out, ErrOut io.Writer
}

// Run does what Args say and returns the exit status: 1 where an invariant is violated, 2 where nothing
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
	at := Elsewhere{
		AdminName: c.Env.String("PARLEY_ADMIN_USER", "", "Who makes the rooms at the Parley that -url names."),
		Password:  c.Env.Secret("PARLEY_ADMIN_PASSWORD", "The password of PARLEY_ADMIN_USER."),
	}
	if err = c.Env.Err(); err != nil {
		return nil, "", err
	}
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	flags.SetOutput(c.ErrOut)
	o := Options{Out: c.Out, Log: slog.New(slog.DiscardHandler), Bin: filepath.Dir(c.Program)}
	flags.Uint64Var(&o.Seed, "seed", 0, "repeats the faults of a run; 0 takes one at random")
	flags.Int64Var(&o.Messages, "messages", 100_000, "acked messages that there must be at least")
	flags.IntVar(&o.Faults, "faults", 102, "faults that there must be at least; of every kind the same number")
	flags.Float64Var(&o.Scale, "scale", 1, "multiplies how long faults last")
	flags.IntVar(&o.Clients, "clients", 0, "who talk; 0: 120, and 60 with -url")
	flags.IntVar(&o.Rooms, "rooms", 0, "that they talk in; 0: 12, and 6 with -url")
	flags.Float64Var(&o.Rate, "rate", 0, "messages, edits and deletes a second, of all clients together; 0: 300, and 30 with -url")
	flags.DurationVar(&o.Patience, "patience", 90*time.Second, "how long one answer may take, whatever happens")
	flags.StringVar(&at.URL, "url", "", "a Parley that runs already, such as https://chat.example.org: its rooms are made by PARLEY_ADMIN_USER, and only the clients' own sockets are cut")
	flags.StringVar(&jsonFile, "json", "", "a file that takes the report as JSON")
	if err = flags.Parse(c.Args); err != nil || flags.NArg() > 0 {
		return nil, "", errors.Join(err, errors.New("usage: faults [flags]; faults -help lists them"))
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64() >> 1 //nolint:gosec // any will do
	}
	usual := Options{Clients: 120, Rooms: 12, Rate: 300}
	if at.URL != "" { // within the limits that a Parley has by default
		usual = Options{Clients: 60, Rooms: 6, Rate: 30}
	}
	o.Clients, o.Rooms, o.Rate = cmp.Or(o.Clients, usual.Clients), cmp.Or(o.Rooms, usual.Rooms), cmp.Or(o.Rate, usual.Rate)
	if at.URL != "" {
		report, err = RunElsewhere(ctx, o, at)
		return report, jsonFile, err
	}
	if o.Folder, err = os.MkdirTemp("", "parley-faults-"); err != nil {
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
