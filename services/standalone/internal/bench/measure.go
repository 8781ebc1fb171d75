//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/parley-chat/parley/services/standalone/internal/bench/load"
	"github.com/parley-chat/parley/services/standalone/internal/procs"
)

// loops read what comes. Two keep up with a million frames a second.
const loops = 2

// crowd is sockets in rooms on one target: socket i is in room i modulo rooms, and the members of a room
// are spread evenly over the target's addresses. Each is a user of its own.
type crowd struct {
	on    target
	fleet *load.Fleet
	conns []*load.Conn
	rooms int
}

// gather opens the sockets of a crowd.
func gather(ctx context.Context, on target, sockets, rooms int) (*crowd, error) {
	tokens, err := on.tokens(ctx, sockets)
	if err != nil {
		return nil, err
	}
	fleet, err := load.New(loops)
	if err != nil {
		return nil, err
	}
	c := &crowd{on: on, fleet: fleet, rooms: rooms}
	seats := make([]load.Seat, sockets)
	for i := range seats {
		seats[i] = load.Seat{
			Address: on.addresses[i/rooms%len(on.addresses)], Token: tokens[i],
			Rooms: []load.Room{load.Room(i % rooms)}, //nolint:gosec // some thousands
		}
	}
	if c.conns, err = fleet.Enter(ctx, seats, 200); err != nil {
		return nil, errors.Join(fmt.Errorf("gather %d sockets in %d rooms: %w", sockets, rooms, err), fleet.Close())
	}
	return c, nil
}

// members is how many sockets are in each room.
func (c *crowd) members() int { return len(c.conns) / c.rooms }

// pick has the rooms take turns, and in each its members.
func (c *crowd) pick(i int) load.Send {
	room := i % c.rooms
	return load.Send{By: c.conns[room+i/c.rooms%c.members()*c.rooms], Room: load.Room(room)} //nolint:gosec // some thousands
}

// sample is the state of things at a moment.
type sample struct {
	at     int64
	counts load.Counts
	own    time.Duration // CPU time of the generator
	cpu    map[string]time.Duration
}

// sample reads the CPU time of all the target's processes; their numbers are dropped: "edge" is all edges.
func (c *crowd) sample() (sample, error) {
	s := sample{at: c.fleet.Now(), counts: c.fleet.Counts(), cpu: map[string]time.Duration{}}
	own, err := procs.Of(os.Getpid())
	if err != nil {
		return s, err
	}
	s.own = own.CPU
	for _, child := range c.on.children {
		usage, err := procs.Tree(child.PID())
		if err != nil {
			return s, fmt.Errorf("%s: %w", child.Name, err)
		}
		name, _, _ := strings.Cut(child.Name, "-")
		s.cpu[name] += usage.CPU
	}
	return s, nil
}

// outcome is what came of sending for a while.
type outcome struct {
	planned, sent  int
	took           time.Duration // from the first due to the last that came
	delivered      int64
	lost           int64 // of what was sent and not refused
	refused, holes int64
	closed         int64
	bytes          int64
	delivery, acks *load.Histogram
	cpu            map[string]time.Duration
	own            time.Duration
}

// perDelivery is the CPU time of a delivery in µs, all processes together.
func (o *outcome) perDelivery() float64 {
	var sum time.Duration
	for _, d := range o.cpu {
		sum += d
	}
	return micros(sum, o.delivered)
}

func micros(d time.Duration, n int64) float64 {
	return float64(d.Nanoseconds()) / 1000 / float64(max(1, n))
}

// whole says that all went as planned: everything sent, delivered once and in order to everybody.
func (o *outcome) whole() error {
	if o.sent < o.planned || o.lost != 0 || o.refused+o.holes+o.closed > 0 {
		return fmt.Errorf("of %d messages %d went out, %d were refused; %d deliveries lost, %d out of order, %d sockets closed", o.planned, o.sent, o.refused, o.lost, o.holes, o.closed)
	}
	return nil
}

// load is what is sent: messages per second in all rooms together, and for how long.
type dose struct {
	perSecond float64
	lasting   time.Duration
	body      int
}

// body is the size of a message's text in bytes.
const body = 120

// settleIn bounds how long what was sent may take to arrive.
const settleIn = 5 * time.Second

// send plays a dose, waits until all of it has arrived or nothing more comes, and tells what came of it.
func (c *crowd) send(ctx context.Context, d dose) (*outcome, error) {
	before, err := c.sample()
	if err != nil {
		return nil, err
	}
	schedule := load.Schedule{From: c.fleet.Now() + int64(20*time.Millisecond), PerSecond: d.perSecond, For: d.lasting, Body: d.body}
	c.fleet.Measure(schedule.From)
	o := &outcome{planned: schedule.Count(), sent: c.fleet.Play(ctx, schedule, c.pick)}
	expected := func(now load.Counts) int64 {
		return (int64(o.sent) - (now.Refused - before.counts.Refused)) * int64(c.members())
	}
	last, lastAt := int64(-1), c.fleet.Now()
	for now := c.fleet.Counts(); ; now = c.fleet.Counts() {
		if came := now.Delivered - before.counts.Delivered; came != last {
			last, lastAt = came, c.fleet.Now()
		}
		if last >= expected(now) && now.Acked+now.Refused-before.counts.Acked-before.counts.Refused >= int64(o.sent) || c.fleet.Now()-lastAt > int64(settleIn) {
			break
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return nil, err
		}
	}
	end, err := c.sample()
	if err != nil {
		return nil, err
	}
	o.took = time.Duration(max(lastAt-schedule.From, int64(d.lasting)))
	o.delivered = end.counts.Delivered - before.counts.Delivered
	o.lost = expected(end.counts) - o.delivered
	o.refused, o.holes = end.counts.Refused-before.counts.Refused, end.counts.Holes-before.counts.Holes
	o.bytes = end.counts.Bytes - before.counts.Bytes
	for code, n := range end.counts.Closed {
		o.closed += n - before.counts.Closed[code]
	}
	o.delivery, o.acks = c.fleet.Times()
	o.own, o.cpu = end.own-before.own, map[string]time.Duration{}
	for name, used := range end.cpu {
		o.cpu[name] = used - before.cpu[name]
	}
	return o, nil
}

// add takes in a further outcome on the same crowd; times are the later one's.
func (o *outcome) add(n *outcome) {
	o.planned += n.planned
	o.sent += n.sent
	o.took += n.took
	o.delivered += n.delivered
	o.lost += n.lost
	o.refused += n.refused
	o.holes += n.holes
	o.closed += n.closed
	o.bytes += n.bytes
	o.own += n.own
	o.delivery.Add(n.delivery)
	o.acks.Add(n.acks)
	for name, used := range n.cpu {
		o.cpu[name] += used
	}
}

func ms(ns int64) float64 { return float64(ns) / 1e6 }
