//go:build linux

// Package load is a load generator that costs next to nothing: raw sockets and epoll, one read buffer a
// loop, frames told apart by their first bytes. It speaks just enough of Parley's WebSocket to
// join, send, count and time what comes; every socket checks that what it is sent has no hole.
package load

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Room is a room's number; its slug is the number behind RoomPrefix.
type Room int32

// RoomPrefix starts the slug of every room that a Fleet joins.
const RoomPrefix = "bench-"

// Slug is the room's name on the wire.
func (r Room) Slug() string { return fmt.Sprintf("%s%d", RoomPrefix, r) }

// Seat is where a socket goes: whose it is and what it joins.
type Seat struct {
	Address string // of the server, host:port
	Token   string
	Rooms   []Room
	Untimed bool // what it gets is counted, but not timed
	Lazy    bool // and is read by and by: a read brings several frames
	Narrow  bool // the kernel takes little for it that it has not read
}

// Counts are what all sockets have seen since the Fleet was made.
type Counts struct {
	Delivered int64 // message events, live
	Replayed  int64 // entries that joins with a cursor brought
	Bytes     int64 // read
	Reads     int64
	Acked     int64 // sends answered with sent
	Refused   int64 // sends answered with an error
	Blocked   int64 // sends of a Pump that the server's socket did not take
	Holes     int64 // events that were not the next of their room
	Joined    int64
	Retried   int64            // joins that were unavailable and tried again
	Resumed   int64            // joins that were recovered from a cursor
	Closed    map[uint16]int64 // sockets that the server ended, by close code; 1006: without one
}

// noGoodbye is the close code of a connection that just ended.
const noGoodbye = 1006

// Fleet is many sockets. Methods may not be called at the same time unless they say so.
type Fleet struct {
	began   time.Time
	loops   []*loop // sockets are spread over these
	lazy    *loop
	running sync.WaitGroup
	conns   []*Conn
	nonce   string
	sent    atomic.Int64 // nonces given out
}

// lazily is how long what comes to a lazy socket may lie unread.
const lazily = 250 * time.Millisecond

// New starts a Fleet with so many loops, and one for the lazy sockets. Close ends it.
func New(loops int) (*Fleet, error) {
	f := &Fleet{began: time.Now(), nonce: rand.Text()[:10]}
	for range loops + 1 {
		l, err := newLoop(f)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		f.loops = append(f.loops, l)
		f.running.Go(l.run)
	}
	f.lazy, f.loops = f.loops[loops], f.loops[:loops]
	return f, nil
}

// all are the loops that there are, also where not all could be made.
func (f *Fleet) all() []*loop {
	if f.lazy == nil {
		return f.loops
	}
	return append(slices.Clone(f.loops), f.lazy)
}

// Close ends all sockets and loops.
func (f *Fleet) Close() error {
	f.Leave()
	var errs []error
	for _, l := range f.all() {
		errs = append(errs, l.stop())
	}
	f.running.Wait()
	for _, l := range f.all() {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

// Now is the Fleet's clock in nanoseconds: monotonic, and never 0. Dues are of it.
func (f *Fleet) Now() int64 { return int64(time.Since(f.began)) + 1 }

// Enter opens a socket for each seat, at most `atOnce` handshakes and joins under way, and returns when
// all are in all of their rooms. The sockets come in the order of the seats.
func (f *Fleet) Enter(ctx context.Context, seats []Seat, atOnce int) ([]*Conn, error) {
	conns := make([]*Conn, len(seats))
	for i, seat := range seats {
		l := f.loops[(len(f.conns)+i)%len(f.loops)]
		if seat.Lazy {
			l = f.lazy
		}
		conns[i] = newConn(l, seat)
	}
	f.conns = append(f.conns, conns...)
	err := f.dial(ctx, conns, atOnce)
	f.lazy.pace.Store(int64(lazily)) // from now on: joining is not to wait
	return conns, err
}

// Return opens the sockets again that are closed, as Enter does; each resumes from where it was.
func (f *Fleet) Return(ctx context.Context, atOnce int) error {
	var closed []*Conn
	for _, c := range f.conns {
		if !c.isOpen() {
			closed = append(closed, c)
		}
	}
	return f.dial(ctx, closed, atOnce)
}

// Cut ends all connections at once, without a word.
func (f *Fleet) Cut() {
	for _, c := range f.conns {
		c.hangUp()
	}
}

// Leave cuts and forgets all sockets.
func (f *Fleet) Leave() {
	f.Cut()
	f.conns = nil
}

// Open is how many sockets are open; it may be called at any time.
func (f *Fleet) Open() (n int) {
	for _, c := range f.conns {
		if c.isOpen() {
			n++
		}
	}
	return n
}

// Counts adds up what the loops have seen; it may be called at any time.
func (f *Fleet) Counts() Counts {
	sum := Counts{Closed: map[uint16]int64{}}
	for _, l := range f.all() {
		l.mu.Lock()
		sum.add(&l.counts)
		l.mu.Unlock()
	}
	return sum
}

func (c *Counts) add(o *Counts) {
	c.Delivered += o.Delivered
	c.Replayed += o.Replayed
	c.Bytes += o.Bytes
	c.Reads += o.Reads
	c.Acked += o.Acked
	c.Refused += o.Refused
	c.Blocked += o.Blocked
	c.Holes += o.Holes
	c.Joined += o.Joined
	c.Retried += o.Retried
	c.Resumed += o.Resumed
	for code, n := range o.Closed {
		c.Closed[code] += n
	}
}

// Pace lets the loops rest for d after each round, so that thousands of sockets cost fewer wake-ups: what
// is timed is then up to d too long. 0 reads at once.
func (f *Fleet) Pace(d time.Duration) {
	for _, l := range f.loops {
		l.pace.Store(int64(d))
	}
}

// Measure forgets what was timed before and times from now on what is due from then on.
func (f *Fleet) Measure(from int64) {
	for _, l := range f.all() {
		l.mu.Lock()
		l.from = from
		l.delivery.Reset()
		l.acks.Reset()
		l.mu.Unlock()
	}
}

// Times are from when a send was due to when it came: to each socket, and to its sender as acked.
func (f *Fleet) Times() (delivery, acks *Histogram) {
	delivery, acks = &Histogram{}, &Histogram{}
	for _, l := range f.all() {
		l.mu.Lock()
		delivery.Add(&l.delivery)
		acks.Add(&l.acks)
		l.mu.Unlock()
	}
	return delivery, acks
}
