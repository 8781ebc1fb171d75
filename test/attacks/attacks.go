//go:build linux

// Package attacks shows that a stranger cannot end the service: people talk on a small cluster with its
// default limits while attackers at other addresses do all that is known to harm servers of this kind. No
// process may end, memory stays bounded, nothing acked is lost, and people notice little.
package attacks

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/localcluster"
	"github.com/parley-chat/parley/test/procs"
)

// Options say how long and how many.
type Options struct {
	People int           // who talk
	Before time.Duration // that they talk undisturbed, to be compared with
	Lasts  time.Duration // of the attacks

	Bin    string    // the folder of the services' programs
	Folder string    // takes data and logs; made where it is missing
	Out    io.Writer // takes lines that tell how it goes
	Log    *slog.Logger
}

// Bounds of the verdicts.
const (
	memoryBound = 256 << 20 // bytes that a service's process may take at any time
	slowdown    = 2.0       // times that the people's p99 may be that of people beside, or of before
	// quickEnough is a p99 that nobody notices: below it no ratio counts.
	quickEnough = 20 * time.Millisecond
)

// environ leaves all limits as they are by default: they are what is tried.
func environ() []string {
	return []string{"PARLEY_LOG_LEVEL=warn"}
}

// Run does it all and reports. The error says that there is nothing to report.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	progress := harness.NewProgress(o.Out)
	attacked, err := populate(ctx, o, "attacked", progress)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, attacked.leave()) }()
	neighbours, err := populate(ctx, o, "neighbours", progress)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, neighbours.leave()) }()
	progress.Say("%d people talk in %d rooms, and as many on a cluster beside that nobody attacks", o.People, len(attacked.people.rooms))
	run := &run{options: o, populatedCluster: attacked, neighbours: neighbours.people, progress: progress, peak: map[string]int64{}}
	return run.do(ctx)
}

// populatedCluster is a small cluster with people who talk on it.
type populatedCluster struct {
	*harness.Cluster

	people *people
}

// populate starts a cluster and has people talk on it.
func populate(ctx context.Context, o Options, name string, progress *harness.Progress) (*populatedCluster, error) {
	running, c, err := harness.Start(ctx, filepath.Join(o.Folder, name), localcluster.Config{Bin: o.Bin, Throwaway: true, Env: environ()}, o.Log, progress.Died)
	if err != nil {
		return nil, err
	}
	talking, err := gather(running, c.URL, o.People)
	if err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return &populatedCluster{c, talking}, nil
}

func (t *populatedCluster) leave() error {
	t.people.leave()
	return t.Stop()
}

// run is one run.
type run struct {
	*populatedCluster

	options    Options
	neighbours *people // on the same machine, which the attackers keep busy too
	progress   *harness.Progress
	peak       map[string]int64 // the most resident memory of each service's process, in bytes
}

func (r *run) do(ctx context.Context) (*Report, error) {
	before, _, err := r.talk(ctx, r.options.Before)
	if err != nil {
		return nil, err
	}
	r.progress.Say("undisturbed: %s; the attacks begin", before)
	target, err := newTarget(ctx, r.Cluster)
	if err != nil {
		return nil, err
	}
	attacking, end := context.WithTimeout(ctx, r.options.Lasts)
	defer end()
	cpu, err := procs.Of(os.Getpid())
	if err != nil {
		return nil, err
	}
	var attackers sync.WaitGroup
	for i, a := range target.attacks() {
		from := net.IPv4(127, 0, 9, byte(i+1))
		for range a.workers {
			attackers.Go(func() { a.work(attacking, target, from) })
		}
	}
	during, beside, err := r.talk(ctx, r.options.Lasts)
	end()
	attackers.Wait()
	if err != nil {
		return nil, err
	}
	used, err := procs.Of(os.Getpid())
	if err != nil {
		return nil, err
	}
	r.progress.Say("attacked: %s; the attackers and the people took %s of processor time", during, (used.CPU - cpu.CPU).Round(time.Second))
	r.people.quiet()
	lost, err := r.people.lost(ctx)
	if err != nil {
		return nil, err
	}
	return r.conclude(before, during, beside, lost, target.counts()), nil
}

// talk lets people talk for d, and samples the memory of the services meanwhile.
func (r *run) talk(ctx context.Context, d time.Duration) (here, beside Times, err error) {
	r.people.begin()
	r.neighbours.begin()
	end := time.NewTimer(d)
	defer end.Stop()
	sample := time.NewTicker(250 * time.Millisecond)
	defer sample.Stop()
	tell := time.NewTicker(10 * time.Second)
	defer tell.Stop()
	for {
		select {
		case <-end.C:
			return r.people.times(), r.neighbours.times(), nil
		case <-sample.C:
			r.sample()
		case <-tell.C:
			r.progress.Say("PROGRESS the last 10 s: %s; beside: %s", r.people.lately(), r.neighbours.lately())
		case <-ctx.Done():
			return Times{}, Times{}, ctx.Err()
		}
	}
}

func (r *run) sample() {
	for _, child := range r.Children() {
		if child.Admin == "" { // a store
			continue
		}
		if usage, err := procs.Of(child.PID()); err == nil {
			r.peak[child.Name] = max(r.peak[child.Name], usage.Resident)
		}
	}
}
