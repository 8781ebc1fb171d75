//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/parley-chat/parley/test/harness"
)

// The load that CPU per delivery is measured at.
const (
	fanoutSockets = 1000
	fanoutRate    = 20_000 // deliveries per second
	fanoutTurns   = 2      // of Parley and the floor, in turns
	fanoutTurn    = 5 * time.Second
)

// fanoutRate measures what a delivery costs at a rate that leaves time for each. The floor that keeps shows
// how much of that nobody is spared who commits a message before it is acked, and carries it by Redis.
func (b *bench) fanoutRate(ctx context.Context) error {
	for _, c := range []struct{ members, edges int }{{100, 2}, {1000, 2}, {100, 1}, {1000, 1}} {
		if err := b.stage.needRooms(ctx, fanoutSockets/c.members); err != nil {
			return err
		}
		where := fmt.Sprintf("rooms of %d, %d edge(s)", c.members, c.edges)
		if err := b.fanoutBeside(ctx, b.stage.parley(c.edges), c.members, where, atMost(1.15)); err != nil {
			return err
		}
	}
	for _, members := range []int{100, 1000} {
		where := fmt.Sprintf("rooms of %d, the floor that keeps", members)
		if err := b.fanoutBeside(ctx, b.stage.kept(), members, where, goal{}); err != nil {
			return err
		}
	}
	return nil
}

// fanoutBeside measures a target and the floor in turns, at the same load.
func (b *bench) fanoutBeside(ctx context.Context, measured target, members int, where string, g goal) (err error) {
	rooms := fanoutSockets / members
	var crowds [2]*crowd
	for i, on := range []target{measured, b.stage.bare()} {
		l := evenly(fanoutSockets, rooms, len(on.addresses))
		l.seat = mostlyLazy(l.seat)
		if crowds[i], err = gather(ctx, on, l); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, crowds[i].fleet.Close()) }()
	}
	if err = b.still(ctx, crowds[0], where); err != nil {
		return err
	}
	var sums [2]*outcome
	for turn := range fanoutTurns + 1 {
		for i, c := range crowds {
			o, err := c.send(ctx, dose{perSecond: fanoutRate / float64(members), lasting: fanoutTurn, body: body})
			if err != nil {
				return err
			}
			switch turn {
			case 0: // warms up
			case 1:
				sums[i] = o
			default:
				sums[i].add(o)
			}
		}
	}
	parley, bare := sums[0], sums[1]
	b.complain(where, parley.whole())
	b.complain(where+", floor", bare.whole())
	b.note("CPU per delivery ÷ floor, "+where, ratio, parley.perDelivery()/bare.perDelivery(), g)
	b.note("CPU per delivery, "+where, "µs", parley.perDelivery(), goal{})
	b.note("CPU per delivery, floor, rooms of "+fmt.Sprint(members), "µs", bare.perDelivery(), goal{})
	for _, name := range slices.Sorted(maps.Keys(parley.cpu)) {
		b.note("CPU per delivery, "+where+", of it "+name, "µs", micros(parley.cpu[name], parley.delivered), goal{})
	}
	b.note("CPU per delivery, "+where+", the generator's own", "µs", micros(parley.own, parley.delivered), goal{})
	b.note("bytes per delivery, "+where, "B", float64(parley.bytes)/float64(parley.delivered), goal{})
	b.note("bytes per delivery, floor, rooms of "+fmt.Sprint(members), "B", float64(bare.bytes)/float64(bare.delivered), goal{})
	b.note("p50 of delivery, "+where, "ms", ms(parley.delivery.Quantile(.5)), goal{})
	b.note("p99 of delivery, "+where, "ms", ms(parley.delivery.Quantile(.99)), goal{})
	b.note("p50 of delivery, floor, rooms of "+fmt.Sprint(members), "ms", ms(bare.delivery.Quantile(.5)), goal{})
	return nil
}

// still measures what all processes take while nobody says anything, which is a part of every delivery's cost.
func (b *bench) still(ctx context.Context, c *crowd, where string) error {
	before, err := c.sample()
	if err != nil {
		return err
	}
	if err = harness.Pause(ctx, fanoutTurn); err != nil {
		return err
	}
	after, err := c.sample()
	if err != nil {
		return err
	}
	var sum time.Duration
	for name, used := range after.cpu {
		sum += used - before.cpu[name]
	}
	b.note("CPU of all processes while nobody sends, "+where, "% of one", 100*sum.Seconds()/(float64(after.at-before.at)/1e9), goal{})
	return nil
}

// mostlyLazy times what one socket in ten gets. The others are read a few times a second, so that the
// generator takes little of the processors.
func mostlyLazy(of func(int) seat) func(int) seat {
	return func(i int) seat {
		s := of(i)
		s.lazy = i/10%10 != 0 // in whole rounds over the rooms, in so far as there are ten of them
		return s
	}
}

// The search for the highest rate.
const (
	saturationStep = 5 * time.Second
	saturationP99  = 200 * time.Millisecond
	saturationFrom = 50_000 // deliveries per second
	saturationTo   = 16_000_000
	saturationFine = 3 // halvings of the last doubling
)

// fanoutMax searches for the highest rate at which everything arrives in time.
func (b *bench) fanoutMax(ctx context.Context) error {
	for _, c := range []struct {
		sockets, members int
		goal             goal
	}{{1000, 1000, atLeast(1_000_000)}, {1000, 100, goal{}}, {5000, 1000, goal{}}} {
		if err := b.stage.needRooms(ctx, c.sockets/c.members); err != nil {
			return err
		}
		where := fmt.Sprintf("%d sockets, rooms of %d, 2 edges", c.sockets, c.members)
		if err := b.saturate(ctx, b.stage.parley(2), where, c.sockets, c.members, c.goal); err != nil {
			return err
		}
	}
	return b.saturate(ctx, b.stage.bare(), "1000 sockets, rooms of 1000, floor", 1000, 1000, goal{})
}

func (b *bench) saturate(ctx context.Context, on target, where string, sockets, members int, g goal) (err error) {
	rooms := sockets / members
	best := &outcome{}
	steps := &steps{on: on, sockets: sockets, rooms: rooms}
	defer func() { err = errors.Join(err, steps.leave()) }()
	_, err = climb(saturationFrom, saturationTo, saturationFine, func(rate float64) (bool, error) {
		o, failure := steps.try(ctx, rate)
		if failure != nil {
			return false, failure
		}
		p99 := time.Duration(o.delivery.Quantile(.99))
		held := o.whole() == nil && p99 <= saturationP99 && o.took < saturationStep+saturationP99*2
		b.log.InfoContext(ctx, "step", "where", where, "deliveries_per_second", int(rate), "held", held, "p99", p99.Round(time.Millisecond), "whole", o.whole())
		if held {
			best = o
			return true, nil
		}
		return false, steps.leave()
	})
	if err != nil {
		return err
	}
	if best.delivered == 0 {
		b.complain(where, fmt.Errorf("not even %d deliveries per second hold", saturationFrom))
		b.note("deliveries per second, "+where, "/s", 0, g)
		return nil
	}
	b.note("deliveries per second, "+where, "/s", float64(best.delivered)/best.took.Seconds(), g)
	b.note("p99 of delivery at that rate, "+where, "ms", ms(best.delivery.Quantile(.99)), goal{})
	b.note("CPU per delivery at that rate, "+where, "µs", best.perDelivery(), goal{})
	b.note("CPU per delivery at that rate, "+where+", the generator's own", "µs", micros(best.own, best.delivered), goal{})
	return nil
}

// steps try rates on a crowd, and on a new one after each that did not hold: it may have been cut.
type steps struct {
	on             target
	sockets, rooms int
	crowd          *crowd
}

func (s *steps) try(ctx context.Context, rate float64) (*outcome, error) {
	if s.crowd == nil {
		var err error
		if s.crowd, err = gather(ctx, s.on, evenly(s.sockets, s.rooms, len(s.on.addresses))); err != nil {
			return nil, err
		}
	}
	return s.crowd.send(ctx, dose{perSecond: rate / float64(s.crowd.members), lasting: saturationStep, body: body})
}

func (s *steps) leave() error {
	if s.crowd == nil {
		return nil
	}
	err := s.crowd.fleet.Close()
	s.crowd = nil
	return err
}

// climb doubles from a rate on until two that follow each other do not hold, then halves the step above
// the best so many times; a rate that does not hold is tried twice. It returns the highest that held, 0
// if none did. Where all goes well at a rate, something else disturbed those below that did not hold.
func climb(from, to float64, halvings int, once func(rate float64) (held bool, err error)) (best float64, err error) {
	try := func(rate float64) (bool, error) {
		if held, err := once(rate); held || err != nil {
			return held, err
		}
		return once(rate)
	}
	failed := 0
	for rate := from; rate <= to && failed < 2; rate *= 2 {
		held, err := try(rate)
		if err != nil {
			return best, err
		}
		failed++
		if held {
			best, failed = rate, 0
		}
	}
	if best == 0 || failed == 0 {
		return best, nil
	}
	over := 2 * best
	for range halvings {
		rate := (best + over) / 2
		held, err := try(rate)
		if err != nil {
			return best, err
		}
		if held {
			best = rate
		} else {
			over = rate
		}
	}
	return best, nil
}
