//go:build linux

package bench

import (
	"context"
	"errors"
	"time"

	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/localcluster"
	"github.com/parley-chat/parley/test/procs"
)

// The idle sockets, each of a user of its own in one room.
const (
	idleSockets = 10_000
	idleRooms   = 100
	idleSoon    = 5 * time.Second
	idleLate    = 30 * time.Second // a heartbeat and a collection later
)

// idle measures what a joined socket takes that nothing happens on.
func (b *bench) idle(ctx context.Context) error {
	if err := b.stage.needRooms(ctx, idleRooms); err != nil {
		return err
	}
	if _, err := b.stage.tokens(ctx, idleSockets); err != nil {
		return err
	}
	if err := b.idleOn(ctx, b.stage.parley(1), b.stage.edge(0), "", atMost(12)); err != nil {
		return err
	}
	return b.idleOn(ctx, b.stage.bare(), b.stage.floor, ", floor", goal{})
}

func (b *bench) idleOn(ctx context.Context, on target, child *localcluster.Child, where string, g goal) (err error) {
	if err = restart(ctx, child); err != nil {
		return err
	}
	if err = harness.Pause(ctx, idleSoon); err != nil {
		return err
	}
	empty, err := procs.Of(child.PID())
	if err != nil {
		return err
	}
	c, err := gather(ctx, on, evenly(idleSockets, idleRooms, 1))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.fleet.Close()) }()
	perSocket := func(u procs.Usage) float64 { return float64(u.Resident-empty.Resident) / 1024 / idleSockets }

	if err = harness.Pause(ctx, idleSoon); err != nil {
		return err
	}
	soon, err := procs.Of(child.PID())
	if err != nil {
		return err
	}
	if err = harness.Pause(ctx, idleLate-idleSoon); err != nil {
		return err
	}
	late, err := procs.Of(child.PID())
	if err != nil {
		return err
	}
	if c.fleet.Open() != idleSockets {
		b.complain("idle"+where, errors.New("sockets have closed"))
	}
	b.note("resident memory per idle socket, "+idleSoon.String()+" after the last joined"+where, "KiB", perSocket(soon), g)
	b.note("resident memory per idle socket, "+idleLate.String()+" after the last joined"+where, "KiB", perSocket(late), g)
	b.note("resident memory empty"+where, "MiB", float64(empty.Resident)/(1<<20), goal{})
	b.note("CPU of 10,000 idle sockets"+where, "% of a core", 100*(late.CPU-soon.CPU).Seconds()/(idleLate-idleSoon).Seconds(), goal{})
	return nil
}
