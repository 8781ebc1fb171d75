//go:build linux

package monitored

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/localcluster"
)

// fault is some harm that lasts until its context ends, and the alerts that must fire meanwhile.
type fault struct {
	name   string
	alerts []string
	harm   func(ctx context.Context) error
}

// Times of a fault.
const (
	atMost = 3 * time.Minute  // for its alerts to fire
	rest   = 20 * time.Second // afterwards, for everything to come back
)

type driver struct {
	cluster    *harness.Cluster
	prometheus *prometheus
	out        io.Writer
	report     *Report
}

func (d *driver) faults() []fault {
	return []fault{
		{"Redis stopped", []string{"ParleyRedisAway", "ParleyDeliveriesSlow", "ParleyHolesFilled"}, d.stopped("redis")},
		{"Redis full", []string{"ParleyRedisRefuses"}, d.redisFull},
		{"both pods of rooms stopped", []string{"ParleySendsFail", "ParleyAcksSlow", "ParleyEntriesHeldBack", "ParleyNotScraped"}, d.stopped("rooms-1", "rooms-2")},
		{"PostgreSQL unreachable", []string{"ParleyHeadsStale", "ParleySigningKeysStale", "ParleyApiErrors"}, d.cut("rooms>postgres", "auth>postgres")},
		{"auth stopped", []string{"ParleyLobbySilent"}, d.stopped("auth")},
		{"pods of rooms slow in turns", []string{"ParleyAppendRetries"}, d.slowInTurns("edge>rooms-1", "edge>rooms-2")},
		{"clients that do not read", []string{"ParleySlowReadersCut"}, d.slowReaders},
		{"passwords tried", []string{"ParleyLoginsRefused", "ParleyHashesSaturated"}, d.passwords},
		{"an edge dies three times", []string{"ParleyRestarts"}, d.dies("edge-3")},
	}
}

// run does one fault after the other and notes what fired.
func (d *driver) run(ctx context.Context, only string) error {
	for _, f := range d.faults() {
		if !strings.Contains(f.name, only) {
			continue
		}
		_, _ = fmt.Fprintf(d.out, "%s: waiting for %s\n", f.name, strings.Join(f.alerts, ", "))
		if err := d.one(ctx, f); err != nil {
			return err
		}
		if err := harness.Pause(ctx, rest); err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) one(ctx context.Context, f fault) error {
	began := time.Now()
	harming, end := context.WithTimeout(ctx, atMost)
	var harm sync.WaitGroup
	var failed error
	harm.Go(func() { failed = f.harm(harming) })
	open := slices.Clone(f.alerts)
	for len(open) > 0 && harness.Pause(harming, 500*time.Millisecond) == nil {
		firing, err := d.prometheus.firing(harming)
		if err != nil {
			continue // it is asked again
		}
		open = slices.DeleteFunc(open, func(alert string) bool {
			if firing[alert] {
				d.report.Fired = append(d.report.Fired, Fired{f.name, alert, time.Since(began)})
			}
			return firing[alert]
		})
	}
	end()
	harm.Wait()
	for _, alert := range open {
		d.report.Fired = append(d.report.Fired, Fired{Fault: f.name, Alert: alert})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return failed
}

// stopped freezes processes.
func (d *driver) stopped(names ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, name := range names {
			child := d.cluster.Child(name)
			if err := child.Signal(syscall.SIGSTOP); err != nil {
				return err
			}
			defer func() { _ = child.Signal(syscall.SIGCONT) }()
		}
		<-ctx.Done()
		return nil
	}
}

func (d *driver) cut(relays ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, name := range relays {
			relay := d.cluster.Relay(name)
			relay.Set(localcluster.NetworkFault{Refuse: true})
			defer relay.Set(localcluster.NetworkFault{})
		}
		<-ctx.Done()
		return nil
	}
}

// slowInTurns makes appends by one relay and then the next take longer than the second that they have:
// an edge that has found the pod that answers must look for it again.
func (d *driver) slowInTurns(relays ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for n := 0; ctx.Err() == nil; n++ {
			relay := d.cluster.Relay(relays[n%len(relays)])
			relay.Set(localcluster.NetworkFault{Delay: 600 * time.Millisecond}) // each way
			_ = harness.Pause(ctx, 3*time.Second)
			relay.Set(localcluster.NetworkFault{})
		}
		return nil
	}
}

func (d *driver) redisFull(ctx context.Context) error {
	for _, command := range []string{"CONFIG SET maxmemory-policy noeviction", "CONFIG SET maxmemory 1"} {
		if _, err := d.cluster.Redis.Do(ctx, command); err != nil {
			return err
		}
	}
	<-ctx.Done()
	_, err := d.cluster.Redis.Do(context.WithoutCancel(ctx), "CONFIG SET maxmemory 0")
	return err
}

func (d *driver) dies(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		child := d.cluster.Child(name)
		for n := 0; n < 3 && ctx.Err() == nil; n++ {
			before := child.PID()
			if err := child.Signal(syscall.SIGKILL); err != nil {
				return err
			}
			for ctx.Err() == nil && (child.PID() == 0 || child.PID() == before) {
				_ = harness.Pause(ctx, 100*time.Millisecond)
			}
			_ = harness.Pause(ctx, 5*time.Second) // to be scraped
		}
		<-ctx.Done()
		return nil
	}
}

// passwords are tried by many at once, each time for another account: tries for one are slowed down.
func (d *driver) passwords(ctx context.Context) error {
	var all sync.WaitGroup
	for n := range 60 {
		all.Go(func() {
			api := client.NewHTTP(d.cluster.URL, &http.Client{Timeout: 20 * time.Second})
			for try := 0; ctx.Err() == nil; try++ {
				_, _ = api.Login(ctx, fmt.Sprintf("nobody-%d-%d", n, try), "a guess that is wrong")
				_ = harness.Pause(ctx, 50*time.Millisecond)
			}
		})
	}
	all.Wait()
	return nil
}
