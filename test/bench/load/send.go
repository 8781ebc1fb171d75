//go:build linux

package load

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Send is one message to send: by whom and where.
type Send struct {
	By   *Conn
	Room Room
}

// Schedule is an open loop: message i is due at From + i/PerSecond, whatever became of those before.
type Schedule struct {
	From      int64 // of the Fleet's clock
	PerSecond float64
	For       time.Duration
	Body      int // bytes
}

// Due is when message i is due.
func (s Schedule) Due(i int) int64 { return s.From + int64(float64(i)*1e9/s.PerSecond) }

// Count is how many messages are due in all.
func (s Schedule) Count() int { return int(s.For.Seconds()*s.PerSecond + 0.5) }

// Play sends what the schedule says, message i as pick says, and returns how many went out:
// what a server's socket does not take at once is not sent.
func (f *Fleet) Play(ctx context.Context, s Schedule, pick func(i int) Send) (sent int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The kernel may let a thread sleep 50 µs too long unless it is told not to.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1000, 0, 0, 0)
	var frame []byte
	for i := range s.Count() {
		due := s.Due(i)
		for wait := due - f.Now(); wait > 0; wait = due - f.Now() {
			if ctx.Err() != nil {
				return sent
			}
			pause := unix.NsecToTimespec(min(wait, int64(100*time.Millisecond)))
			_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &pause, nil) // woken early, it sleeps again
		}
		send := pick(i)
		frame = appendSend(frame[:0], send.Room, due, s.Body, f.nonce, f.sent.Add(1))
		if send.By.write(frame) {
			sent++
		}
	}
	return sent
}

// Pump keeps so many sends of body bytes under way on each socket, each to the first of its rooms, until
// Pump is called with 0: a closed loop.
func (f *Fleet) Pump(conns []*Conn, underWay, body int) {
	for _, c := range conns {
		c.loop.mu.Lock()
		before := c.pump
		c.pump, c.body = underWay, body
		c.refill(underWay-before, f.Now())
		c.loop.mu.Unlock()
	}
}

// refill sends n more, in one write.
func (c *Conn) refill(n int, now int64) {
	if c.pump == 0 || n <= 0 {
		return
	}
	f := c.loop.fleet
	var frames []byte
	for range n {
		frames = appendSend(frames, c.places[0].room, now, c.body, f.nonce, f.sent.Add(1))
	}
	if !c.write(frames) {
		c.loop.counts.Blocked += int64(n)
	}
}
