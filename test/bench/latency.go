//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Few messages: in each room one sends on the one edge, and two listen on the other.
const (
	lowRooms = 20
	lowRate  = 500 // messages per second
	lowFor   = 10 * time.Second
)

// lowload measures how long things take while there is time for all of them.
func (b *bench) lowload(ctx context.Context) (err error) {
	if err = b.stage.needRooms(ctx, lowRooms); err != nil {
		return err
	}
	o, err := b.once(ctx, b.stage.parley(2), lowLayout(), dose{lowRate, lowFor, body}, "500 messages per second")
	if err != nil {
		return err
	}
	b.note("p50 of send to sent", "ms", ms(o.acks.Quantile(.5)), atMost(4))
	b.note("p99 of send to sent", "ms", ms(o.acks.Quantile(.99)), atMost(15))
	b.note("p50 of send to delivery on another edge", "ms", ms(o.delivery.Quantile(.5)), atMost(5))
	b.note("p99 of send to delivery on another edge", "ms", ms(o.delivery.Quantile(.99)), atMost(15))
	b.note("CPU per message", "µs", o.perMessage(), goal{})
	return nil
}

// lowLayout has one that sends in each room, and two that listen elsewhere.
func lowLayout() layout {
	return layout{
		sockets: 3 * lowRooms, rooms: lowRooms, members: 3, prompt: true,
		seat: func(i int) seat {
			sends := i < lowRooms
			s := seat{rooms: []int{i % lowRooms}, untimed: sends}
			if !sends {
				s.address = 1
			}
			return s
		},
		pick: func(i int) (socket, room int) { return i % lowRooms, i % lowRooms },
	}
}

// once gathers a crowd, warms it up, and plays a dose.
func (b *bench) once(ctx context.Context, on target, l layout, d dose, where string) (o *outcome, err error) {
	c, err := gather(ctx, on, l)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.fleet.Close()) }()
	if _, err = c.send(ctx, dose{d.perSecond, min(d.lasting, 2*time.Second), d.body}); err != nil {
		return nil, err
	}
	if o, err = c.send(ctx, d); err != nil {
		return nil, err
	}
	b.complain(where, o.whole())
	return o, nil
}

// The hot room.
const (
	hotMembers = 5000
	hotRate    = 20 // messages per second
	hotFor     = 10 * time.Second
)

// hot measures one room that very many are in.
func (b *bench) hot(ctx context.Context) error {
	if err := b.stage.needRooms(ctx, 1); err != nil {
		return err
	}
	for _, t := range []struct {
		on    target
		where string
	}{{b.stage.parley(2), ""}, {b.stage.bare(), ", floor"}} {
		o, err := b.once(ctx, t.on, evenly(hotMembers, 1, len(t.on.addresses)), dose{hotRate, hotFor, body}, "hot room"+t.where)
		if err != nil {
			return err
		}
		b.note("p50 of delivery to 5,000 members, 20 messages per second"+t.where, "ms", ms(o.delivery.Quantile(.5)), goal{})
		b.note("p99 of delivery to 5,000 members, 20 messages per second"+t.where, "ms", ms(o.delivery.Quantile(.99)), goal{})
		b.note("CPU per delivery to 5,000 members"+t.where, "µs", o.perDelivery(), goal{})
	}
	return nil
}

// Many rooms: each has a member on each of two edges; the sockets are as many whatever the rooms.
const (
	manySockets = 1000
	manyRate    = 1000 // messages per second
	manyFor     = 10 * time.Second
)

// many measures what a message costs among few and among very many rooms.
func (b *bench) many(ctx context.Context) error {
	few := 0.0
	for _, rooms := range []int{10, 1000, 10_000} {
		if err := b.stage.needRooms(ctx, rooms); err != nil {
			return err
		}
		where := fmt.Sprintf("%d rooms", rooms)
		o, err := b.once(ctx, b.stage.parley(2), spread(rooms), dose{manyRate, manyFor, body}, where)
		if err != nil {
			return err
		}
		cost := o.perMessage()
		if rooms == 10 {
			few = cost
		} else {
			b.note("CPU per message in "+where+" ÷ in 10 rooms", ratio, cost/few, atMost(1.5))
		}
		b.note("CPU per message, "+where, "µs", cost, goal{})
		for _, name := range []string{"edge", "rooms", "postgres", "redis"} {
			b.note("CPU per message, "+where+", of it "+name, "µs", micros(o.cpu[name], int64(o.sent)), goal{})
		}
		b.note("p50 of delivery, "+where, "ms", ms(o.delivery.Quantile(.5)), goal{})
		b.note("p99 of delivery, "+where, "ms", ms(o.delivery.Quantile(.99)), goal{})
	}
	return nil
}

// spread puts two sockets into each room, one on each of two edges; both may be in many.
func spread(rooms int) layout {
	const half = manySockets / 2
	return layout{
		sockets: manySockets, rooms: rooms, members: 2,
		seat: func(i int) seat {
			s := seat{address: i / half}
			for room := i % half; room < rooms; room += half {
				s.rooms = append(s.rooms, room)
			}
			return s
		},
		pick: func(i int) (socket, room int) {
			room = i % rooms
			return room%half + i/rooms%2*half, room
		},
	}
}
