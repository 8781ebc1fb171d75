//go:build linux

// Package bench measures what Parley is able to do on this machine, beside the floor: the least that a
// server can cost that writes each message to each socket. Everything comes from one command: it
// starts the cluster and the floor as processes, is the load on them, and asks the kernel what each took.
package bench

import (
	"context"
	"errors"
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
	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/procs"
)

// Options say what is measured.
type Options struct {
	Scenarios []string // none is all
	Runs      int
	JSON      string // a file that takes the report, for Compare; "" is none
	// Program has the floors: it is called with "bench", "floor" and an address. The services' programs lie beside it.
	Program     string
	Out, ErrOut io.Writer
}

// Run measures and writes the table. A target that is not met is no error, it is in the table.
func Run(ctx context.Context, o Options) error {
	chosen, err := choose(o.Scenarios)
	if err != nil {
		return err
	}
	report := &Report{Commit: observe.ThisBuild().Version, Machine: machine(), At: time.Now().UTC(), Runs: o.Runs}
	log := slog.New(slog.NewTextHandler(o.ErrOut, nil))
	err = onStage(ctx, o.Program, log, func(ctx context.Context, s *stage) error {
		return measureAll(ctx, &bench{stage: s, report: report, log: log}, chosen, o.Runs)
	})
	// What was measured before something failed is shown too.
	err = errors.Join(err, report.Table(o.Out))
	if o.JSON != "" {
		err = errors.Join(err, harness.Save(o.JSON, report))
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

// choose picks scenarios by their names; none is all.
func choose(names []string) ([]scenario, error) {
	all := scenarios()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []scenario
	for _, name := range names {
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
