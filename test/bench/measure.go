//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/parley-chat/parley/test/bench/load"
	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/procs"
)

// loops read what comes. Two keep up with a million frames a second.
const loops = 2

// layout says who is where.
type layout struct {
	sockets int
	rooms   int // 0 to rooms-1 have members
	members int // sockets in each room
	// seat is where socket i goes: to which of the target's addresses, and into which rooms.
	seat func(i int) seat
	// pick is who sends message i, and where.
	pick func(i int) (socket, room int)
	// prompt reads what comes at once. Otherwise the generator rests a millisecond between rounds, which
	// spares the processors for the servers, and adds up to that to what is timed.
	prompt bool
}

type seat struct {
	address int
	rooms   []int
	untimed bool
	lazy    bool
	narrow  bool
}

// evenly puts socket i into room i modulo rooms, and spreads the members of each over the addresses;
// rooms take turns to be sent to, and so do their members to send.
func evenly(sockets, rooms, addresses int) layout {
	members := sockets / rooms
	return layout{
		sockets: sockets, rooms: rooms, members: members,
		seat: func(i int) seat { return seat{address: i / rooms % addresses, rooms: []int{i % rooms}} },
		pick: func(i int) (socket, room int) { return i%rooms + i/rooms%members*rooms, i % rooms },
	}
}

// crowd is the sockets of a layout on a target, each a user of its own.
type crowd struct {
	layout
	on    target
	fleet *load.Fleet
	conns []*load.Conn
}

// pace is how long the generator rests between rounds.
const pace = time.Millisecond

// gather opens the sockets of a crowd, and returns when the news of their coming have been told.
func gather(ctx context.Context, on target, l layout) (*crowd, error) {
	tokens, err := on.tokens(ctx, l.sockets)
	if err != nil {
		return nil, err
	}
	fleet, err := load.New(loops)
	if err != nil {
		return nil, err
	}
	c := &crowd{layout: l, on: on, fleet: fleet}
	seats := make([]load.Seat, l.sockets)
	for i := range seats {
		s := l.seat(i)
		seats[i] = load.Seat{Address: on.addresses[s.address], Token: tokens[i], Untimed: s.untimed, Lazy: s.lazy, Narrow: s.narrow}
		for _, room := range s.rooms {
			seats[i].Rooms = append(seats[i].Rooms, load.Room(room)) //nolint:gosec // some thousands
		}
	}
	if c.conns, err = fleet.Enter(ctx, seats, 200); err == nil {
		err = c.quiet(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("gather %d sockets in %d rooms: %w", l.sockets, l.rooms, err), fleet.Close())
	}
	if !l.prompt {
		fleet.Pace(pace)
	}
	return c, nil
}

// Presence comes in rounds of a second; heartbeats never end.
const (
	quietFor    = 1500 * time.Millisecond
	quietWithin = 30 * time.Second
)

// quiet waits until next to nothing comes any more.
func (c *crowd) quiet(ctx context.Context) error {
	for began := c.fleet.Now(); c.fleet.Now()-began < int64(quietWithin); {
		before := c.fleet.Counts().Reads
		if err := harness.Pause(ctx, quietFor); err != nil {
			return err
		}
		if c.fleet.Counts().Reads-before <= int64(len(c.conns)/5) {
			break
		}
	}
	return nil
}

// message says who sends message i.
func (c *crowd) message(i int) load.Send {
	socket, room := c.pick(i)
	return load.Send{By: c.conns[socket], Room: load.Room(room)} //nolint:gosec // some thousands
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

// total is the CPU time of all processes together.
func (o *outcome) total() (sum time.Duration) {
	for _, d := range o.cpu {
		sum += d
	}
	return sum
}

// perDelivery is the CPU time of a delivery in µs, perMessage that of a message.
func (o *outcome) perDelivery() float64 { return micros(o.total(), o.delivered) }
func (o *outcome) perMessage() float64  { return micros(o.total(), int64(o.sent)) }

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

// dose is what is sent: messages per second in all rooms together, and for how long.
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
	o := &outcome{planned: schedule.Count(), sent: c.fleet.Play(ctx, schedule, c.message)}
	expected := func(now load.Counts) int64 {
		return (int64(o.sent) - (now.Refused - before.counts.Refused)) * int64(c.members)
	}
	last, lastAt := int64(-1), c.fleet.Now()
	for now := c.fleet.Counts(); ; now = c.fleet.Counts() {
		if came := now.Delivered - before.counts.Delivered; came != last {
			last, lastAt = came, c.fleet.Now()
		}
		if last >= expected(now) && now.Acked+now.Refused-before.counts.Acked-before.counts.Refused >= int64(o.sent) || c.fleet.Now()-lastAt > int64(settleIn) {
			break
		}
		if err = harness.Pause(ctx, 5*time.Millisecond); err != nil {
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
