//go:build linux

// Package bench measures what Parley is able to do on this machine, beside the floor: the least that a
// server can cost that writes each message to each socket. Everything comes from one command: it
// starts the cluster and the floor as processes, is the load on them, and asks the kernel what each took.
package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-chat/parley/pkg/observe"
	"github.com/parley-chat/parley/services/standalone/internal/bench/floor"
	"github.com/parley-chat/parley/services/standalone/internal/procs"
)

// Usage is what the program is called with.
const Usage = `bench [-scenario a,b] [-runs 3] [-json file]   measures and prints one table
bench compare a.json b.json                   what changed from a to b
bench markdown a.json                         the table for docs/performance.md
bench floor host:port [postgres:// redis://]   serves the floor, or the floor that keeps what it acks`

// Command is the program: what it was called with and where it writes to.
type Command struct {
	Args        []string // without the program's name
	Program     string   // its path; the services' programs lie beside it
	Out, ErrOut io.Writer
}

// Run does what Args say until it is done or ctx ends, and returns the exit status: 1 if it could not be
// measured. A target that is not met is no failure, it is in the table.
func (c *Command) Run(ctx context.Context) int {
	if err := c.run(ctx); err != nil {
		_, _ = fmt.Fprintln(c.ErrOut, err)
		return 1
	}
	return 0
}

func (c *Command) run(ctx context.Context) error {
	switch {
	case len(c.Args) == 2 && c.Args[0] == "floor":
		return floor.Serve(ctx, c.Args[1], nil)
	case len(c.Args) == 4 && c.Args[0] == "floor":
		return floor.Serve(ctx, c.Args[1], &floor.Stores{Postgres: c.Args[2], Redis: c.Args[3]})
	case len(c.Args) == 3 && c.Args[0] == "compare":
		a, err := Load(c.Args[1])
		if err != nil {
			return err
		}
		b, err := Load(c.Args[2])
		if err != nil {
			return err
		}
		return Compare(c.Out, a, b)
	case len(c.Args) == 2 && c.Args[0] == "markdown":
		a, err := Load(c.Args[1])
		if err != nil {
			return err
		}
		return a.Markdown(c.Out)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	names := flags.String("scenario", "", "")
	runs := flags.Int("runs", 3, "")
	path := flags.String("json", "", "")
	if err := flags.Parse(c.Args); err != nil || flags.NArg() > 0 || *runs < 1 {
		return errors.Join(err, errors.New(Usage))
	}
	chosen, err := choose(*names)
	if err != nil {
		return err
	}
	report := &Report{Commit: observe.ThisBuild().Version, Machine: machine(), At: time.Now().UTC(), Runs: *runs}
	log := slog.New(slog.NewTextHandler(c.ErrOut, nil))
	err = onStage(ctx, c.Program, c.ErrOut, func(ctx context.Context, s *stage) error {
		return measureAll(ctx, &bench{stage: s, report: report, log: log}, chosen, *runs)
	})
	// What was measured before something failed is shown too.
	err = errors.Join(err, report.Table(c.Out))
	if *path != "" {
		err = errors.Join(err, report.Save(*path))
	}
	return err
}

// bench is what scenarios share.
type bench struct {
	stage    *stage
	report   *Report
	log      *slog.Logger
	scenario string // the one under way
}

type scenario struct {
	name string
	run  func(*bench, context.Context) error
}

// scenarios are all there are, in the order in which they run.
func scenarios() []scenario {
	return []scenario{
		{"fanout-rate", (*bench).fanoutRate},
		{"fanout-max", (*bench).fanoutMax},
		{"idle", (*bench).idle},
		{"acked", (*bench).acked},
		{"lowload", (*bench).lowload},
		{"hot", (*bench).hot},
		{"rooms", (*bench).many},
		{"resume", (*bench).resume},
		{"slow", (*bench).slow},
		{"snapshot", (*bench).snapshot},
		{"standalone", (*bench).alone},
	}
}

// choose picks scenarios by their names, comma-separated; none is all.
func choose(names string) ([]scenario, error) {
	all := scenarios()
	if names == "" {
		return all, nil
	}
	var chosen []scenario
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
		if i < 0 {
			known := make([]string, len(all))
			for j := range all {
				known[j] = all[j].name
			}
			return nil, fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// measureAll plays all scenarios once, and again. One that fails does not keep the others from being played.
func measureAll(ctx context.Context, b *bench, chosen []scenario, runs int) error {
	var failed []error
	for run := range runs {
		for _, s := range chosen {
			b.scenario = s.name
			began := time.Now()
			b.log.InfoContext(ctx, "scenario", "name", s.name, "run", run+1)
			if err := b.watched(ctx, s); err != nil {
				b.complain("run "+strconv.Itoa(run+1)+" could not be measured", err)
				failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
				if ctx.Err() != nil {
					return errors.Join(failed...)
				}
			}
			b.log.InfoContext(ctx, "scenario done", "name", s.name, "run", run+1, "took", time.Since(began).Round(time.Second))
		}
	}
	return errors.Join(failed...)
}

// disturbed is the share of a processor that others may take before figures are doubtful.
const disturbed = 0.1

// watched plays a scenario, and says how busy the machine was meanwhile with what is not of the bench.
func (b *bench) watched(ctx context.Context, s scenario) error {
	began := time.Now()
	before, err := foreign()
	if err != nil {
		return err
	}
	if err = b.stage.signIn(ctx); err != nil {
		return err
	}
	if err = s.run(b, ctx); err != nil {
		return err
	}
	after, err := foreign()
	if err != nil {
		return err
	}
	share := max(0, (after-before).Seconds()/time.Since(began).Seconds())
	b.note("processors busy with others meanwhile", "% of one", 100*share, goal{})
	if share > disturbed {
		b.complain("all", fmt.Errorf("others took %.0f %% of a processor", 100*share))
	}
	return nil
}

// foreign is the time that the processors worked for others, this machine's and the host's.
func foreign() (time.Duration, error) {
	busy, stolen, err := procs.Machine()
	if err != nil {
		return 0, err
	}
	ours, err := procs.Tree(os.Getpid())
	if err != nil {
		return 0, err
	}
	return busy + stolen - ours.CPU, nil
}

func (b *bench) note(name, unit string, value float64, g goal) {
	b.report.note(b.scenario, name, unit, value, g)
}

// complain says on the way that something did not go as planned, as in a table of figures that is
// good it must not.
func (b *bench) complain(where string, err error) {
	if err == nil {
		return
	}
	b.log.Error("not as planned", "scenario", b.scenario, "where", where, "error", err)
	b.report.Flaws = append(b.report.Flaws, b.scenario+", "+where+": "+err.Error())
}

// machine is what it ran on.
func machine() string {
	model, memory := "unknown processor", ""
	if content, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(content), "model name\t: "); ok {
			model, _, _ = strings.Cut(rest, "\n")
		}
	}
	if content, err := os.ReadFile("/proc/meminfo"); err == nil {
		if _, rest, ok := strings.Cut(string(content), "MemTotal:"); ok {
			line, _, _ := strings.Cut(rest, "\n")
			memory = ", " + strings.TrimSpace(line) + " of memory"
		}
	}
	return fmt.Sprintf("%d cores of %s%s", runtime.NumCPU(), model, memory)
}
