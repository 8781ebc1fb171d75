//go:build linux

package load

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// readBuffer is what a loop reads at most at once, in bytes.
const readBuffer = 1 << 20

// loop reads the sockets that are ready, one after the other, into one buffer.
type loop struct {
	fleet *Fleet
	epoll int
	wake  int // an eventfd that ends the loop
	buf   []byte
	pace  atomic.Int64

	mu             sync.Mutex
	conns          map[int32]*Conn // by descriptor
	counts         Counts
	from           int64 // what is due earlier is not timed
	delivery, acks Histogram
	refusal        string // the last
}

func newLoop(f *Fleet) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("eventfd: %w", err), unix.Close(epoll))
	}
	l := &loop{fleet: f, epoll: epoll, wake: wake, buf: make([]byte, readBuffer), conns: map[int32]*Conn{}}
	l.counts.Closed = map[uint16]int64{}
	return l, unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wake)}) //nolint:gosec // a descriptor
}

// watch is called with mu held.
func (l *loop) watch(c *Conn) error {
	l.conns[int32(c.fd)] = c                                                                                         //nolint:gosec // a descriptor
	err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.fd)}) //nolint:gosec // a descriptor
	if err != nil {
		return fmt.Errorf("watch a socket: %w", err)
	}
	return nil
}

// forget is called with mu held.
func (l *loop) forget(c *Conn) {
	delete(l.conns, int32(c.fd))                              //nolint:gosec // a descriptor
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, c.fd, nil) // a deaf one is not watched
}

// run reads until stop.
func (l *loop) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	events := make([]unix.EpollEvent, 2048)
	for {
		n, err := unix.EpollWait(l.epoll, events, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			panic(err) // only for a descriptor that is not ours any more
		}
		l.mu.Lock()
		for _, event := range events[:n] {
			if int(event.Fd) == l.wake {
				l.mu.Unlock()
				return
			}
			if c := l.conns[event.Fd]; c != nil { // it may have been closed since
				l.read(c)
			}
		}
		l.mu.Unlock()
		if rest := l.pace.Load(); rest > 0 {
			pause := unix.NsecToTimespec(rest)
			_ = unix.Nanosleep(&pause, nil)
		}
	}
}

func (l *loop) read(c *Conn) {
	kept := copy(l.buf, c.carry)
	n, err := unix.Read(c.fd, l.buf[kept:])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return
	case err != nil:
		c.gone(noGoodbye, err)
		return
	case n == 0:
		c.gone(noGoodbye, io.EOF)
		return
	}
	l.counts.Reads++
	l.counts.Bytes += int64(n)
	rest, err := c.handle(l.buf[:kept+n], l.fleet.Now())
	if err != nil {
		c.gone(noGoodbye, err)
		return
	}
	c.carry = append(c.carry[:0], rest...)
}

func (l *loop) stop() error {
	if _, err := unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		return fmt.Errorf("wake a loop: %w", err)
	}
	return nil
}

func (l *loop) close() error { return errors.Join(unix.Close(l.wake), unix.Close(l.epoll)) }
