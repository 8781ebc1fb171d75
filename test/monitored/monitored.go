//go:build linux

// Package monitored shows that what watches Parley works: it runs a small cluster under load with a real
// Prometheus, which has the chart's own rules, asks every query of the dashboards and the rules, and
// then harms the cluster until the alerts fire that are meant for it.
package monitored

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/localcluster"
	"github.com/parley-chat/parley/test/soak"
)

// Options say what runs.
type Options struct {
	Bin        string // the folder of the services' programs
	Prometheus string // the program
	Chart      string // the folder of the chart: its rules and dashboards
	Folder     string // takes data and logs; made where it is missing
	Seats      int    // clients that are there at a time, about
	Warm       time.Duration
	Fault      string // only the faults whose names hold it; "none" harms nothing
	Out        io.Writer
}

// Report is what came of it.
type Report struct {
	Queries int
	// Empty are queries without data that should have some.
	Empty []string
	// Broken are rules and queries that Prometheus can't copyDelayed out.
	Broken []string
	Fired  []Fired
}

// Fired is how an alert took a fault.
type Fired struct {
	Fault, Alert string
	After        time.Duration // 0: it did not
}

// Holds says that nothing is amiss.
func (r *Report) Holds() bool {
	for _, f := range r.Fired {
		if f.After == 0 {
			return false
		}
	}
	return len(r.Empty) == 0 && len(r.Broken) == 0
}

// Write prints the report.
func (r *Report) Write(w io.Writer) {
	_, _ = fmt.Fprintf(w, "\n%d queries asked\n", r.Queries)
	for _, text := range r.Broken {
		_, _ = fmt.Fprintln(w, "BROKEN ", text)
	}
	for _, text := range r.Empty {
		_, _ = fmt.Fprintln(w, "NO DATA", text)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range r.Fired {
		after := "DID NOT FIRE"
		if f.After > 0 {
			after = f.After.Round(100 * time.Millisecond).String()
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", f.Fault, f.Alert, after)
	}
	_ = table.Flush()
}

// environ has hashes wait for each other, whoever asks for them, and tokens end soon, besides what the crowd wants.
func environ() []string {
	return append(soak.Environ(), "PARLEY_LOG_LEVEL=warn", "PARLEY_TOKEN_LIFETIME=30s", "PARLEY_HASH_CONCURRENT=1",
		"PARLEY_LIMIT_SENDS=0", "PARLEY_LIMIT_BAD_LOGINS=0")
}

// Run does it all and reports. The error says that there is nothing to report.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	running, c, err := harness.Start(ctx, o.Folder, localcluster.Config{Bin: o.Bin, Throwaway: true, Relayed: true, Env: environ()}, slog.New(slog.DiscardHandler), func(string) {})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	running, cancel := context.WithCancel(running)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()
	p, err := newPrometheus(running, o, c.Folder.Path("prometheus"), c)
	if err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	failed := make(chan error, 2)
	parts.Go(func() { failed <- p.child.Run(running, func() { close(ready) }) })
	select {
	case <-ready:
	case err = <-failed:
		return nil, err
	}
	parts.Go(func() { openPage(running, c.URL) })
	parts.Go(func() {
		if broken := soak.Load(running, c.URL, o.Seats, 1); broken != nil {
			failed <- broken
		}
	})
	_, _ = fmt.Fprintf(o.Out, "the cluster runs with %d clients, Prometheus on %s; its data warms up for %s\n", o.Seats, p.url, o.Warm)
	select {
	case <-time.After(o.Warm): //nolint:forbidigo // one timer, in a select with ctx
	case err = <-failed:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	report = &Report{}
	if err = p.ask(ctx, filepath.Join(o.Chart, "files", "dashboards"), report); err != nil {
		return nil, err
	}
	report.Write(o.Out)
	err = (&driver{cluster: c, prometheus: p, out: o.Out, report: report}).run(running, o.Fault)
	return report, err
}

// component is the service of a child, such as edge for edge-2; empty for what is none.
func component(child *localcluster.Child) string {
	if child.Admin == "" {
		return ""
	}
	name, _, _ := strings.Cut(child.Name, "-")
	return name
}

// openPage opens the page now and then, which the crowd, being programs, does not.
func openPage(ctx context.Context, base string) {
	for harness.Pause(ctx, 2*time.Second) == nil {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/", http.NoBody)
		if err != nil {
			return
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
		}
	}
}
