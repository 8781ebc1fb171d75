//go:build linux

// Package attacks shows that a stranger cannot end the service: people talk on a small cluster with its
// default limits while attackers at other addresses do all that is known to harm servers of this kind. No
// process may end, memory stays bounded, nothing acked is lost, and people notice little.
package attacks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/parley-chat/parley/services/standalone/internal/cluster"
	"github.com/parley-chat/parley/services/standalone/internal/datadir"
	"github.com/parley-chat/parley/services/standalone/internal/procs"
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

const adminUser, adminPassword = "root", "correct horse battery"

// Bounds of the verdicts.
const (
	memoryBound = 256 << 20 // bytes that a service's process may take at any time
	slowdown    = 2.0       // times that the people's p99 may be that of people beside, or of before
	// quickEnough is a p99 that nobody notices: below it no ratio counts.
	quickEnough = 20 * time.Millisecond
)

// environ leaves all limits as they are by default: they are what is tried.
func environ() []string {
	return []string{"PARLEY_ADMIN_USER=" + adminUser, "PARLEY_ADMIN_PASSWORD=" + adminPassword, "PARLEY_LOG_LEVEL=warn"}
}

// Run does it all and reports. The error says that there is nothing to report.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	died := &deaths{out: o.Out}
	attacked, err := settle(ctx, o, "attacked", died)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, attacked.leave()) }()
	neighbours, err := settle(ctx, o, "neighbours", died)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, neighbours.leave()) }()
	say(o.Out, "%d people talk in %d rooms, and as many on a cluster beside that nobody attacks", o.People, len(attacked.people.rooms))
	run := &run{options: o, town: attacked, neighbours: neighbours.people, died: died, peak: map[string]int64{}}
	return run.do(ctx)
}

// town is a small cluster with people who talk on it.
type town struct {
	dir     *datadir.Dir
	cluster *cluster.Cluster
	people  *people
	stop    func() error
}

// settle starts a cluster and has people talk on it.
func settle(ctx context.Context, o Options, name string, died *deaths) (t *town, err error) {
	t = &town{}
	if t.dir, err = datadir.Open(filepath.Join(o.Folder, name)); err != nil {
		return nil, err
	}
	config := cluster.Config{Listen: "127.0.0.1:0", Bin: o.Bin, Rooms: 2, Edges: 3, Throwaway: true, Env: environ()}
	if t.cluster, err = cluster.New(ctx, config, t.dir, o.Log, died.add); err != nil {
		return nil, errors.Join(err, t.dir.Close())
	}
	running, stop, err := t.cluster.Start(ctx)
	if err != nil {
		return nil, errors.Join(err, t.dir.Close())
	}
	t.stop = stop
	if t.people, err = gather(running, t.cluster.URL, o.People); err != nil {
		return nil, errors.Join(err, stop(), t.dir.Close())
	}
	return t, nil
}

func (t *town) leave() error {
	t.people.leave()
	return errors.Join(t.stop(), t.dir.Close())
}

// run is one run.
type run struct {
	*town

	options    Options
	neighbours *people // on the same machine, which the attackers keep busy too
	died       *deaths
	peak       map[string]int64 // the most resident memory of each service's process, in bytes
}

func (r *run) do(ctx context.Context) (*Report, error) {
	before, _, err := r.talk(ctx, r.options.Before)
	if err != nil {
		return nil, err
	}
	say(r.options.Out, "undisturbed: %s; the attacks begin", before)
	target, err := newTarget(ctx, r.cluster)
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
	say(r.options.Out, "attacked: %s; the attackers and the people took %s of processor time", during, (used.CPU - cpu.CPU).Round(time.Second))
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
			say(r.options.Out, "PROGRESS the last 10 s: %s; beside: %s", r.people.lately(), r.neighbours.lately())
		case <-ctx.Done():
			return Times{}, Times{}, ctx.Err()
		}
	}
}

func (r *run) sample() {
	for _, child := range r.cluster.Children() {
		if child.Admin == "" { // a store
			continue
		}
		if usage, err := procs.Of(child.PID()); err == nil {
			r.peak[child.Name] = max(r.peak[child.Name], usage.Resident)
		}
	}
}

// deaths counts the processes that ended.
type deaths struct {
	out io.Writer

	mu    sync.Mutex
	names []string
}

func (d *deaths) add(message string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names = append(d.names, message)
	say(d.out, "%s", message)
}

func (d *deaths) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.names
}

func say(out io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(out, time.Now().UTC().Format("15:04:05 ")+format+"\n", args...)
}

// pause waits for d, and says whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
