//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/procs"
)

// A busy room in which some stop reading.
const (
	slowReaders = 50
	fastReaders = 200
	slowRate    = 100  // messages per second
	slowBody    = 3500 // bytes: an outbox is full within seconds
	slowFor     = 20 * time.Second
	slowTurns   = 2                      // of the room without them and with them, in turns
	slowEvery   = 100 * time.Millisecond // memory is looked at
)

// slow measures what readers that do not read cost the others: the same room without them and with them.
func (b *bench) slow(ctx context.Context) error {
	if err := b.stage.needRooms(ctx, 1); err != nil {
		return err
	}
	var sums [2]*outcome
	var memory [2]float64
	for range slowTurns {
		for i, deaf := range []int{0, slowReaders} {
			o, most, err := b.slowRoom(ctx, deaf)
			if err != nil {
				return err
			}
			memory[i] = max(memory[i], most)
			if sums[i] == nil {
				sums[i] = o
			} else {
				sums[i].add(o)
			}
		}
	}
	without, with := sums[0], sums[1]
	b.note("p99 of delivery beside 50 that do not read ÷ without them", ratio, float64(with.delivery.Quantile(.99))/float64(without.delivery.Quantile(.99)), atMost(1.10))
	b.note("p99 of delivery beside 50 that do not read", "ms", ms(with.delivery.Quantile(.99)), goal{})
	b.note("p99 of delivery without them", "ms", ms(without.delivery.Quantile(.99)), goal{})
	b.note("most memory of the edge beside 50 that do not read", "MiB", memory[1], goal{})
	b.note("most memory of the edge without them", "MiB", memory[0], goal{})
	return nil
}

// slowRoom plays the same to one edge whose room has so many more who do not read.
func (b *bench) slowRoom(ctx context.Context, deaf int) (o *outcome, most float64, err error) {
	if err = restart(ctx, b.stage.edge(0)); err != nil {
		return nil, 0, err
	}
	l := evenly(fastReaders+deaf, 1, 1)
	l.prompt = true
	even := l.seat
	l.seat = func(i int) seat {
		s := even(i)
		s.narrow = i >= fastReaders
		return s
	}
	l.pick = func(i int) (socket, room int) { return i % fastReaders, 0 } // the deaf are the last
	c, err := gather(ctx, b.stage.parley(1), l)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, c.fleet.Close()) }()
	for _, conn := range c.conns[fastReaders:] {
		if err = conn.Deafen(); err != nil {
			return nil, 0, err
		}
	}
	c.members = fastReaders // only these are sure to get everything

	watching, stop := context.WithCancel(ctx)
	peak := make(chan float64, 1)
	go func() { peak <- mostMemory(watching, b.stage.edge(0).PID()) }()
	o, err = c.send(ctx, dose{slowRate, slowFor, slowBody})
	stop()
	most = <-peak
	if err != nil {
		return nil, 0, err
	}
	if deaf == 0 {
		b.complain("without slow readers", o.whole())
		return o, most, nil
	}
	if o.sent < o.planned || o.lost > 0 || o.refused+o.holes+o.closed > 0 {
		b.complain("beside slow readers", o.whole())
	}
	cut, err := c.cutSlow(ctx)
	if err != nil {
		return nil, 0, err
	}
	b.note("of 50 that do not read, closed with 4408", "sockets", float64(cut), atLeast(slowReaders))
	return o, most, nil
}

// cutSlow has the deaf read on, and counts those who learn that they were cut for it.
func (c *crowd) cutSlow(ctx context.Context) (cut int, err error) {
	for _, conn := range c.conns[fastReaders:] {
		if err = conn.Listen(); err != nil {
			return 0, fmt.Errorf("read on: %w", err)
		}
	}
	for range 50 {
		if err = harness.Pause(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
		cut = 0
		for _, conn := range c.conns[fastReaders:] {
			if conn.Code() == uint16(wire.CloseSlowReader) {
				cut++
			}
		}
		if cut == slowReaders {
			break
		}
	}
	return cut, nil
}

// mostMemory looks at a process until ctx ends, and returns the most resident memory seen, in MiB.
func mostMemory(ctx context.Context, pid int) (most float64) {
	for {
		if usage, err := procs.Of(pid); err == nil {
			most = max(most, float64(usage.Resident)/(1<<20))
		}
		if harness.Pause(ctx, slowEvery) != nil {
			return most
		}
	}
}
