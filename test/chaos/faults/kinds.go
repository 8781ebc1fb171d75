package faults

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/localcluster"
)

// kind is a kind of harm. What it did is over, or has done its harm, when do returns.
type kind struct {
	name string
	do   func(ctx context.Context) error
}

// How long faults last.
const (
	lastsShort = 5 * time.Second
	lastsLong  = 30 * time.Second
)

func (d *driver) scaled(t time.Duration) time.Duration {
	return time.Duration(float64(t) * d.options.Scale)
}

// kinds are all there are.
func (d *driver) kinds() []kind {
	edge := func() string { return fmt.Sprintf("edge-%d", 1+d.random.IntN(3)) }
	pod := func() string { return fmt.Sprintf("rooms-%d", 1+d.random.IntN(2)) }
	redis := func() string { return d.primary.Name }
	named := func(name string) func() string { return func() string { return name } }
	s, l := d.scaled(lastsShort), d.scaled(lastsLong)
	edgeRooms := []string{"edge>rooms-1", "edge>rooms-2"}
	slow := func() localcluster.NetworkFault {
		return localcluster.NetworkFault{Delay: time.Duration(50+d.random.IntN(150)) * time.Millisecond}
	}
	cut, hang := func() localcluster.NetworkFault { return localcluster.NetworkFault{Refuse: true} }, func() localcluster.NetworkFault { return localcluster.NetworkFault{Hang: true} }
	return []kind{
		{"sockets cut", func(context.Context) error { d.cutSockets(); return nil }},
		{"edge killed", d.signal(syscall.SIGKILL, edge)},
		{"edge stopped 5 s", d.stop(s, edge)},
		{"edge drained and replaced", d.signal(syscall.SIGTERM, edge)},
		{"rooms pod killed", d.signal(syscall.SIGKILL, pod)},
		{"both rooms pods killed", d.signal(syscall.SIGKILL, named("rooms-1"), named("rooms-2"))},
		{"rooms pod stopped 5 s", d.stop(s, pod)},
		{"both rooms pods stopped 5 s", d.stop(s, named("rooms-1"), named("rooms-2"))},
		{"rooms pod drained", d.signal(syscall.SIGTERM, pod)},
		{"auth killed", d.signal(syscall.SIGKILL, named("auth"))},
		{"edge, rooms pod and Redis killed", d.signal(syscall.SIGKILL, edge, pod, redis)},
		{"Redis emptied", func(ctx context.Context) error { return d.redis(ctx, "FLUSHALL") }},
		{"Redis killed", d.signal(syscall.SIGKILL, redis)},
		{"Redis restarted empty", d.signal(syscall.SIGTERM, redis)},
		{"Redis stopped 5 s", d.stop(s, redis)},
		{"Redis full 5 s", d.fullRedis},
		{"Redis unreachable from edges 30 s", d.network(hang, l, "edge>redis")},
		{"Redis unreachable from rooms 30 s", d.network(hang, l, "rooms>redis")},
		{"Redis unreachable from both 30 s", d.network(hang, l, "edge>redis", "rooms>redis", "auth>redis")},
		{"Redis refuses all 5 s", d.network(cut, s, "edge>redis", "rooms>redis", "auth>redis")},
		{"Redis failed over to one that lags", d.failOver},
		{"PostgreSQL restarted", d.signal(syscall.SIGINT, named("postgres"))},
		{"PostgreSQL crashed", d.signal(syscall.SIGQUIT, named("postgres"))},
		{"PostgreSQL killed", d.signal(syscall.SIGKILL, named("postgres"))},
		{"PostgreSQL restored from a backup", d.restore},
		{"slow: edges to rooms 5 s", d.network(slow, s, edgeRooms...)},
		{"slow: services to PostgreSQL 5 s", d.network(slow, s, "rooms>postgres", "auth>postgres")},
		{"slow: services to Redis 5 s", d.network(slow, s, "edge>redis", "rooms>redis", "auth>redis")},
		{"cut: edges to one rooms pod 5 s", d.network(cut, s, edgeRooms[0])},
		{"cut: edges to rooms 5 s", d.network(cut, s, edgeRooms...)},
		{"cut: rooms to PostgreSQL 5 s", d.network(cut, s, "rooms>postgres")},
		{"cut: auth to PostgreSQL 5 s", d.network(cut, s, "auth>postgres")},
		{"packets lost: edges to rooms 5 s", d.network(hang, s, edgeRooms...)},
		{"packets lost: rooms to PostgreSQL 5 s", d.network(hang, s, "rooms>postgres")},
	}
}

func (d *driver) cutSockets() {
	d.workload.Sockets.Cut(3)
	for _, p := range d.probes {
		p.cut()
	}
}

// up waits until a process runs: it may be on its way up from the fault before.
func (d *driver) up(ctx context.Context, name string) (*localcluster.Child, error) {
	child := d.cluster.Child(name)
	for child.PID() == 0 {
		if err := harness.Pause(ctx, 20*time.Millisecond); err != nil {
			return nil, fmt.Errorf("%s is down: %w", name, err)
		}
	}
	return child, nil
}

func (d *driver) signal(signal os.Signal, names ...func() string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, name := range names {
			child, err := d.up(ctx, name())
			if err != nil {
				return err
			}
			if err := child.Signal(signal); err != nil {
				return err
			}
			if err := d.ends(ctx, child); err != nil {
				return err
			}
		}
		return nil
	}
}

// ends waits until the process that was told to go is gone, as one that drains takes its time, or until
// another runs in its place.
func (d *driver) ends(ctx context.Context, child *localcluster.Child) error {
	for pid := child.PID(); pid != 0 && child.PID() == pid; {
		if err := harness.Pause(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("%s does not end: %w", child.Name, err)
		}
	}
	return nil
}

// stop freezes processes for a while.
func (d *driver) stop(lasts time.Duration, names ...func() string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, name := range names {
			child, err := d.up(ctx, name())
			if err != nil {
				return err
			}
			if err := child.Signal(syscall.SIGSTOP); err != nil {
				return err
			}
			defer func() { _ = child.Signal(syscall.SIGCONT) }()
		}
		return harness.Pause(ctx, lasts)
	}
}

// network changes what lies between the pieces for a while.
func (d *driver) network(what func() localcluster.NetworkFault, lasts time.Duration, relays ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, name := range relays {
			relay := d.cluster.Relay(name)
			relay.Set(what())
			defer relay.Set(localcluster.NetworkFault{})
		}
		return harness.Pause(ctx, lasts)
	}
}
