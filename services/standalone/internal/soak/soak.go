//go:build linux

// Package soak runs a small cluster under mixed load with churn for a long time and shows whether
// anything grows that should not: memory, goroutines, descriptors, connections, keys in Redis. It keeps
// to a fraction of a core: what leaks does so at any rate, and an hour is long.
package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/services/standalone/internal/cluster"
	"github.com/parley-chat/parley/services/standalone/internal/datadir"
)

// Options say how long and how many.
type Options struct {
	Lasts time.Duration // the load; settling comes on top
	Seats int           // clients that are there at a time, about
	Every time.Duration // between samples
	Seed  uint64        // of what the clients do

	Bin    string    // the folder of the services' programs
	Folder string    // takes data and logs; made where it is missing
	Out    io.Writer // takes lines that tell how it goes
	Log    *slog.Logger
}

// Times besides the load's.
const (
	beforehand = 15 * time.Second // at rest, before anybody comes
	// settleFor is how long after the last one left all must be as it was. Presence is right within 45 s
	// and its keys expire within 60 s; idle connections are closed after 2 minutes.
	settleFor = 150 * time.Second
	tellEvery = time.Minute
)

const adminUser, adminPassword = "root", "correct horse battery"

// environ is what the services are told: no limits on what one address may do, since all come from one;
// hashes that cost as little as they may; tokens that are renewed many times.
func environ() []string {
	return append(cluster.WithoutLimits("SENDS", "SENDS_HTTP", "JOINS", "POLLS", "FRAMES", "BAD_LOGINS"),
		"PARLEY_ADMIN_USER="+adminUser, "PARLEY_ADMIN_PASSWORD="+adminPassword, "PARLEY_LOG_LEVEL=info",
		"PARLEY_TOKEN_LIFETIME=2m", "PARLEY_HASH_ITERATIONS=1", "PARLEY_PROFILES=true")
}

// Run does it all and reports. The error says that there is nothing to report.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	dir, err := datadir.Open(o.Folder)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	died := &deaths{out: o.Out}
	config := cluster.Config{Listen: "127.0.0.1:0", Bin: o.Bin, Rooms: 2, Edges: 3, Throwaway: true, Env: environ()}
	c, err := cluster.New(ctx, config, dir, o.Log, died.told)
	if err != nil {
		return nil, err
	}
	running, stop, err := c.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	watch, err := newSampler(c)
	if err != nil {
		return nil, err
	}
	defer watch.close()
	s := &soak{options: o, cluster: c, sampler: watch, died: died}
	return s.run(running)
}

// soak is one run.
type soak struct {
	options Options
	cluster *cluster.Cluster
	sampler *sampler
	died    *deaths
	crowd   *crowd
	began   time.Time // of the load
	samples []Sample
}

func (s *soak) run(ctx context.Context) (*Report, error) {
	o := s.options
	say(o.Out, "the cluster runs: 3 edges, 2 rooms pods, auth, web, PostgreSQL, Redis; %s of load by %d clients", o.Lasts, o.Seats)
	if err := pause(ctx, beforehand); err != nil {
		return nil, err
	}
	s.began = time.Now()
	before, err := s.sampler.sample(ctx, 0)
	if err != nil {
		return nil, err
	}
	if s.crowd, err = newCrowd(ctx, s.cluster.URL, o.Seed, client.NewHTTP(s.cluster.URL, &http.Client{Timeout: 20 * time.Second})); err != nil {
		return nil, err
	}
	loading, end := context.WithTimeout(ctx, o.Lasts)
	defer end()
	left := make(chan struct{})
	go func() {
		defer close(left)
		s.crowd.run(loading, o.Seats)
	}()
	err = s.watch(ctx, loading)
	end()
	<-left
	if err != nil {
		return nil, err
	}
	gone := time.Now()
	say(o.Out, "PROGRESS the last one has left; all must be as before within %s", settleFor)
	after, err := s.settle(ctx, before)
	if err != nil {
		return nil, err
	}
	return s.conclude(before, after, gone), nil
}

// watch samples until the load ends.
func (s *soak) watch(ctx, loading context.Context) error {
	ticker := time.NewTicker(s.options.Every)
	defer ticker.Stop()
	told := time.Now()
	for {
		select {
		case <-loading.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		sample, err := s.sampler.sample(ctx, time.Since(s.began))
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			say(s.options.Out, "no sample: %v", err)
			continue
		}
		sample.Clients = int(s.crowd.there.Load())
		s.samples = append(s.samples, sample)
		if time.Since(told) >= tellEvery {
			told = time.Now()
			say(s.options.Out, "PROGRESS %s of %s: %s; %s", time.Since(s.began).Round(time.Second), s.options.Lasts, sample, s.crowd)
		}
	}
}

// settle waits until all is as before, or has had the time for it.
func (s *soak) settle(ctx context.Context, before Sample) (after Sample, err error) {
	gone := time.Now()
	for {
		if err = pause(ctx, s.options.Every/2); err != nil {
			return after, err
		}
		if after, err = s.sampler.sample(ctx, time.Since(s.began)); err != nil {
			return after, err
		}
		s.samples = append(s.samples, after)
		if left := leftovers(before, after); holds(left) || time.Since(gone) >= settleFor {
			return after, nil
		}
	}
}

func say(out io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(out, time.Now().UTC().Format("15:04:05 ")+format+"\n", args...)
}

// pause waits for d, or returns the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
