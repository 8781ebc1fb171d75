//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The load that CPU per delivery is measured at.
const (
	fanoutSockets = 1000
	fanoutRate    = 20_000 // deliveries per second
	fanoutTurns   = 2      // of Parley and the floor, in turns
	fanoutTurn    = 5 * time.Second
)

// fanoutRate measures what a delivery costs at a rate that leaves time for each.
func (b *bench) fanoutRate(ctx context.Context) error {
	for _, c := range []struct{ members, edges int }{{100, 2}, {1000, 2}, {100, 1}, {1000, 1}} {
		if err := b.fanoutAtRate(ctx, c.members, c.edges); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) fanoutAtRate(ctx context.Context, members, edges int) (err error) {
	where := fmt.Sprintf("rooms of %d, %d edge(s)", members, edges)
	rooms := fanoutSockets / members
	if err = b.stage.needRooms(ctx, rooms); err != nil {
		return err
	}
	var crowds [2]*crowd
	for i, on := range []target{b.stage.parley(edges), b.stage.bare()} {
		if crowds[i], err = gather(ctx, on, fanoutSockets, rooms); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, crowds[i].fleet.Close()) }()
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
	b.note("CPU per delivery ÷ floor, "+where, ratio, parley.perDelivery()/bare.perDelivery(), atMost(1.15))
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

// The search for the highest rate.
const (
	saturationStep = 5 * time.Second
	saturationP99  = 200 * time.Millisecond
	saturationFrom = 100_000 // deliveries per second
	saturationTo   = 16_000_000
	saturationFine = 3 // halvings of the last doubling
)

// fanoutMax searches for the highest rate at which everything arrives in time.
func (b *bench) fanoutMax(ctx context.Context) error {
	for _, c := range []struct {
		sockets, members int
		goal             goal
	}{{1000, 1000, atLeast(1_000_000)}, {1000, 100, goal{}}, {5000, 1000, goal{}}} {
		where := fmt.Sprintf("%d sockets, rooms of %d, 2 edges", c.sockets, c.members)
		if err := b.saturate(ctx, b.stage.parley(2), where, c.sockets, c.members, c.goal); err != nil {
			return err
		}
	}
	return b.saturate(ctx, b.stage.bare(), "1000 sockets, rooms of 1000, floor", 1000, 1000, goal{})
}

func (b *bench) saturate(ctx context.Context, on target, where string, sockets, members int, g goal) error {
	rooms := sockets / members
	if err := b.stage.needRooms(ctx, rooms); err != nil {
		return err
	}
	best := &outcome{}
	_, err := climb(saturationFrom, saturationTo, saturationFine, func(rate float64) (bool, error) {
		o, err := b.saturationStep(ctx, on, sockets, rooms, rate)
		if err != nil {
			return false, err
		}
		p99 := time.Duration(o.delivery.Quantile(.99))
		held := o.whole() == nil && p99 <= saturationP99 && o.took < saturationStep+saturationP99*2
		b.log.InfoContext(ctx, "step", "where", where, "deliveries_per_second", int(rate), "held", held, "p99", p99.Round(time.Millisecond), "whole", o.whole())
		if held {
			best = o
		}
		return held, nil
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

// saturationStep tries one rate on a new crowd: the one before may have been cut.
func (b *bench) saturationStep(ctx context.Context, on target, sockets, rooms int, rate float64) (o *outcome, err error) {
	c, err := gather(ctx, on, sockets, rooms)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.fleet.Close()) }()
	return c.send(ctx, dose{perSecond: rate / float64(c.members()), lasting: saturationStep, body: body})
}

// climb doubles from a rate on while it holds, then halves the last step so many times. It returns the
// highest that held, 0 if none did.
func climb(from, to float64, halvings int, try func(rate float64) (held bool, err error)) (best float64, err error) {
	over := 0.0
	for rate := from; rate <= to && over == 0; rate *= 2 {
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
	if best == 0 || over == 0 {
		return best, nil
	}
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
