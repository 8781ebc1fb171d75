//go:build linux

// Package soak runs a small cluster under mixed load with churn for a long time and shows whether
// anything grows that should not: memory, goroutines, descriptors, connections, keys in Redis. It keeps
// to a fraction of a core: what leaks does so at any rate, and an hour is long.
package soak

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/localcluster"
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

// Environ is what the services are told: no limits on what one address may do, since all come from one;
// hashes that cost as little as they may; tokens that are renewed many times.
func Environ() []string {
	return append(localcluster.WithoutLimits("SENDS", "SENDS_HTTP", "JOINS", "POLLS", "FRAMES", "BAD_LOGINS"),
		"PARLEY_LOG_LEVEL=info",
		"PARLEY_TOKEN_LIFETIME=2m", "PARLEY_HASH_ITERATIONS=1", "PARLEY_PROFILES=true")
}

// Run does it all and reports. The error says that there is nothing to report.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	progress := harness.NewProgress(o.Out)
	running, c, err := harness.Start(ctx, o.Folder, localcluster.Config{Bin: o.Bin, Throwaway: true, Env: Environ()}, o.Log, progress.Died)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	watch, err := newSampler(c.Cluster)
	if err != nil {
		return nil, err
	}
	defer watch.close()
	s := &soak{options: o, cluster: c, sampler: watch, progress: progress}
	return s.run(running)
}

// soak is one run.
type soak struct {
	options  Options
	cluster  *harness.Cluster
	sampler  *sampler
	progress *harness.Progress
	crowd    *crowd
	began    time.Time // of the load
	samples  []Sample
}

func (s *soak) run(ctx context.Context) (*Report, error) {
	o := s.options
	s.progress.Say("the cluster runs: 3 edges, 2 rooms pods, auth, web, PostgreSQL, Redis; %s of load by %d clients", o.Lasts, o.Seats)
	if err := harness.Pause(ctx, beforehand); err != nil {
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
	s.progress.Say("PROGRESS the last one has left; all must be as before within %s", settleFor)
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
			s.progress.Say("no sample: %v", err)
			continue
		}
		sample.Clients = int(s.crowd.there.Load())
		s.samples = append(s.samples, sample)
		if time.Since(told) >= tellEvery {
			told = time.Now()
			s.progress.Say("PROGRESS %s of %s: %s; %s", time.Since(s.began).Round(time.Second), s.options.Lasts, sample, s.crowd)
		}
	}
}

// settle waits until all is as before, or has had the time for it.
func (s *soak) settle(ctx context.Context, before Sample) (after Sample, err error) {
	gone := time.Now()
	for {
		if err = harness.Pause(ctx, s.options.Every/2); err != nil {
			return after, err
		}
		if after, err = s.sampler.sample(ctx, time.Since(s.began)); err != nil {
			return after, err
		}
		s.samples = append(s.samples, after)
		if left := leftovers(before, after); left.Holds() || time.Since(gone) >= settleFor {
			return after, nil
		}
	}
}
