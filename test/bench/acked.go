//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-chat/parley/test/harness"
)

// Senders that keep sends under way, one on each edge for each room, and hear each other.
const (
	ackedRooms    = 64
	ackedUnderWay = 16 // sends of each
	ackedWarm     = 2 * time.Second
	ackedFor      = 8 * time.Second
)

// acked measures how many messages a second are committed and acked, by a closed loop.
func (b *bench) acked(ctx context.Context) (err error) {
	if err = b.stage.needRooms(ctx, ackedRooms); err != nil {
		return err
	}
	if err = b.ackedOn(ctx, b.stage.parley(2), ", PostgreSQL with fsync", atLeast(15_000)); err != nil {
		return err
	}
	if err = b.durable(ctx, false); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.durable(ctx, true)) }()
	return b.ackedOn(ctx, b.stage.parley(2), ", PostgreSQL without fsync", goal{})
}

func (b *bench) ackedOn(ctx context.Context, on target, where string, g goal) (err error) {
	c, err := gather(ctx, on, pairs(len(on.addresses)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.fleet.Close()) }()
	c.fleet.Pump(c.conns, ackedUnderWay, body)
	if err = harness.Pause(ctx, ackedWarm); err != nil {
		return err
	}
	c.fleet.Measure(c.fleet.Now())
	before, err := c.sample()
	if err != nil {
		return err
	}
	if err = harness.Pause(ctx, ackedFor); err != nil {
		return err
	}
	after, err := c.sample()
	if err != nil {
		return err
	}
	_, acks := c.fleet.Times()
	c.fleet.Pump(c.conns, 0, 0)
	messages := after.counts.Acked - before.counts.Acked
	seconds := float64(after.at-before.at) / 1e9
	b.note("acked messages per second"+where, "/s", float64(messages)/seconds, g)
	b.note("p50 of send to sent at that rate"+where, "ms", ms(acks.Quantile(.5)), goal{})
	b.note("p99 of send to sent at that rate"+where, "ms", ms(acks.Quantile(.99)), goal{})
	for _, name := range slices.Sorted(maps.Keys(after.cpu)) {
		b.note("CPU per acked message"+where+", of it "+name, "µs", micros(after.cpu[name]-before.cpu[name], messages), goal{})
	}
	b.note("CPU per acked message"+where+", the generator's own", "µs", micros(after.own-before.own, messages), goal{})
	return b.ackedWhole(ctx, c, where)
}

// ackedWhole waits for what is under way, and complains of what is missing.
func (b *bench) ackedWhole(ctx context.Context, c *crowd, where string) error {
	if err := c.quiet(ctx); err != nil {
		return err
	}
	end := c.fleet.Counts()
	// What was refused may have been committed all the same.
	lost := max(0, end.Acked*int64(c.members)-end.Delivered)
	if lost+end.Holes+end.Refused+end.Blocked > 0 {
		b.complain("acked"+where, fmt.Errorf("of %d acked messages %d deliveries lost, %d out of order; %d sends refused, %d not taken", end.Acked, lost, end.Holes, end.Refused, end.Blocked))
	}
	return nil
}

// pairs is two sockets in each room, on different addresses as far as there are.
func pairs(addresses int) layout {
	l := evenly(2*ackedRooms, ackedRooms, addresses)
	l.prompt = true
	return l
}

// durable switches PostgreSQL's care for what it has committed on or off, for all databases.
func (b *bench) durable(ctx context.Context, on bool) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second) // also where the bench was stopped
	defer cancel()
	conn, err := pgx.Connect(ctx, b.stage.cluster.Postgres.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	value := "off"
	if on {
		value = "on"
	}
	for _, statement := range []string{"ALTER SYSTEM SET fsync = " + value, "ALTER SYSTEM SET full_page_writes = " + value, "SELECT pg_reload_conf()"} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return harness.Pause(ctx, time.Second) // it reloads when it gets to it
}

// snapshotFor is how long the old snapshot is held.
const snapshotFor = 60 * time.Second

// snapshot measures what a transaction costs that was begun long ago, such as pg_dump's.
func (b *bench) snapshot(ctx context.Context) (err error) {
	if err = b.stage.needRooms(ctx, ackedRooms); err != nil {
		return err
	}
	c, err := gather(ctx, b.stage.parley(2), pairs(2))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.fleet.Close()) }()
	c.fleet.Pump(c.conns, ackedUnderWay, body)
	if err = harness.Pause(ctx, ackedWarm); err != nil {
		return err
	}
	before, err := c.ackRate(ctx)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, b.stage.cluster.Postgres.URL(roomsDatabase))
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	old, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return fmt.Errorf("begin the old transaction: %w", err)
	}
	defer func() { _ = old.Rollback(context.WithoutCancel(ctx)) }()
	if _, err = old.Exec(ctx, "SELECT 1"); err != nil {
		return fmt.Errorf("take the old snapshot: %w", err)
	}
	if err = harness.Pause(ctx, snapshotFor-ackedFor); err != nil {
		return err
	}
	end, err := c.ackRate(ctx)
	if err != nil {
		return err
	}
	c.fleet.Pump(c.conns, 0, 0)
	b.note("acked messages per second after "+snapshotFor.String()+" of an old snapshot ÷ before", ratio, end/before, goal{})
	b.note("acked messages per second before the old snapshot", "/s", before, goal{})
	return b.ackedWhole(ctx, c, ", old snapshot")
}

// roomsDatabase is where the logs are.
const roomsDatabase = "parley_rooms"

// ackRate counts acks for a while.
func (c *crowd) ackRate(ctx context.Context) (perSecond float64, err error) {
	from, before := c.fleet.Now(), c.fleet.Counts().Acked
	if err := harness.Pause(ctx, ackedFor); err != nil {
		return 0, err
	}
	return float64(c.fleet.Counts().Acked-before) * 1e9 / float64(c.fleet.Now()-from), nil
}
