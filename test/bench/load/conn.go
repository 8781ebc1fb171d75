//go:build linux

package load

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Conn is one socket of a Fleet.
type Conn struct {
	loop *loop
	seat Seat

	out sync.Mutex // after the loop's mu; held to write, and both to change fd
	fd  int        // -1: closed

	// Of the loop's mu.
	upgraded bool
	carry    []byte // the beginning of a frame whose end has not come
	places   []place
	waiting  int          // answers to joins that have not come
	tries    int          // joins that were tried again
	entered  chan<- error // hears once that all joins are answered, or that it failed
	pump     int          // sends that are kept under way
	body     int          // bytes of their bodies
	code     uint16       // of the server's goodbye
}

// place is how far a socket is in a room.
type place struct {
	room Room
	next int64 // the seq that must come; 0: never joined
}

func newConn(l *loop, seat Seat) *Conn {
	c := &Conn{loop: l, seat: seat, fd: -1}
	for _, room := range seat.Rooms {
		c.places = append(c.places, place{room: room})
	}
	return c
}

// Code is the code that the server closed the socket with, 0 while it has not, 1006 if it gave none.
func (c *Conn) Code() uint16 {
	c.loop.mu.Lock()
	defer c.loop.mu.Unlock()
	return c.code
}

func (c *Conn) isOpen() bool {
	c.loop.mu.Lock()
	defer c.loop.mu.Unlock()
	return c.fd >= 0 && c.upgraded && c.waiting == 0
}

// dial opens sockets, at most so many at once, and returns when all are in.
func (f *Fleet) dial(ctx context.Context, conns []*Conn, atOnce int) error {
	entered := make(chan error, len(conns))
	started, done := 0, 0
	for done < len(conns) {
		for started < len(conns) && started-done < atOnce {
			if err := conns[started].connect(entered); err != nil {
				return err
			}
			started++
		}
		select {
		case err := <-entered:
			if err != nil {
				return fmt.Errorf("socket %d of %d: %w", done, len(conns), err)
			}
			done++
		case <-ctx.Done():
			return fmt.Errorf("%d of %d sockets are in: %w", done, len(conns), ctx.Err())
		}
	}
	return nil
}

// narrow is the receive buffer of a Narrow seat in bytes.
const narrow = 16 << 10

// connect opens the connection and asks for the upgrade; the loop does the rest.
func (c *Conn) connect(entered chan<- error) error {
	address, err := netip.ParseAddrPort(c.seat.Address)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if c.seat.Narrow { // before the connection, or it is not heeded
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, narrow)
	}
	to := &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}
	err = errors.Join(err,
		unix.Connect(fd, to), // on loopback it waits only where the server's backlog is full
		unix.SetNonblock(fd, true),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	if err != nil {
		return errors.Join(fmt.Errorf("connect to %s: %w", c.seat.Address, err), unix.Close(fd))
	}
	c.loop.mu.Lock()
	defer c.loop.mu.Unlock()
	c.out.Lock()
	c.fd = fd
	c.out.Unlock()
	c.upgraded, c.carry, c.code = false, nil, 0
	c.waiting, c.entered = len(c.places), entered
	if err := c.loop.watch(c); err != nil {
		return err
	}
	hello := "GET /ws HTTP/1.1\r\nHost: " + c.seat.Address + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer " + c.seat.Token + "\r\n\r\n"
	if !c.write([]byte(hello)) {
		return errors.New("the server does not take the handshake")
	}
	return nil
}

// Deafen stops reading, until Listen: what comes waits in the kernel, and then at the server.
func (c *Conn) Deafen() error {
	c.loop.mu.Lock()
	defer c.loop.mu.Unlock()
	return unix.EpollCtl(c.loop.epoll, unix.EPOLL_CTL_DEL, c.fd, nil)
}

// Listen reads again after Deafen.
func (c *Conn) Listen() error {
	c.loop.mu.Lock()
	defer c.loop.mu.Unlock()
	return c.loop.watch(c)
}

// hangUp closes the connection without a word.
func (c *Conn) hangUp() {
	c.loop.mu.Lock()
	defer c.loop.mu.Unlock()
	c.closeLocked()
}

func (c *Conn) closeLocked() {
	c.out.Lock()
	defer c.out.Unlock()
	if c.fd < 0 {
		return
	}
	c.loop.forget(c)
	_ = unix.Close(c.fd)
	c.fd, c.carry, c.pump = -1, nil, 0
}

// gone notes that the server ended the connection.
func (c *Conn) gone(code uint16, why error) {
	c.closeLocked()
	if c.code == 0 {
		c.code = code
		c.loop.counts.Closed[code]++
	}
	c.enteredOrFailed(fmt.Errorf("closed with %d: %w", c.code, why))
}

func (c *Conn) enteredOrFailed(err error) {
	if c.entered != nil {
		c.entered <- err
		c.entered = nil
	}
}

// handle takes in what was read. It returns what is left: the beginning of a frame.
func (c *Conn) handle(b []byte, now int64) ([]byte, error) {
	if !c.upgraded {
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			return b, nil
		}
		if !bytes.HasPrefix(b, []byte("HTTP/1.1 101 ")) {
			return nil, fmt.Errorf("no upgrade: %.300s", b)
		}
		c.upgraded = true
		b = b[end+4:]
		if err := c.join(); err != nil {
			return nil, err
		}
	}
	answered := 0
	for {
		op, payload, size, err := firstFrame(b)
		if err != nil || size == 0 {
			c.refill(answered, now)
			return b, err
		}
		b = b[size:]
		switch op {
		case opText:
			n, err := c.text(payload, now)
			answered += n
			if err != nil {
				return nil, err
			}
		case opPing:
			c.write(appendFrame(nil, opPong, payload))
		case opClose:
			if len(payload) >= 2 {
				c.code = binary.BigEndian.Uint16(payload)
				c.loop.counts.Closed[c.code]++
			}
			c.write(appendFrame(nil, opClose, payload[:min(2, len(payload))]))
		}
	}
}

// text takes in one frame and says how many sends it answered.
func (c *Conn) text(p []byte, now int64) (answered int, err error) {
	l := c.loop
	switch {
	case bytes.HasPrefix(p, []byte(isMessage)):
		room, seq, due, ok := readMessage(p)
		if !ok {
			return 0, fmt.Errorf("an event that is not as known: %.200s", p)
		}
		at := c.place(room)
		if at == nil || at.next != seq {
			l.counts.Holes++
		}
		if at != nil {
			at.next = seq + 1
		}
		l.counts.Delivered++
		if due >= l.from && !c.seat.Untimed && !c.seat.Lazy {
			l.delivery.Observe(now - due)
		}
	case bytes.HasPrefix(p, []byte(isSent)):
		due, _ := digits(p[len(isSent):])
		l.counts.Acked++
		if due >= l.from && !c.seat.Lazy {
			l.acks.Observe(now - due)
		}
		return 1, nil
	case bytes.HasPrefix(p, []byte(isError)):
		if c.waiting > 0 {
			return 0, c.joinAgain(p)
		}
		l.counts.Refused++
		l.refusal = string(p)
		return 1, nil
	case bytes.HasPrefix(p, []byte(isJoined)):
		return 0, c.joined(p)
	}
	return 0, nil
}

func (c *Conn) place(room Room) *place {
	for i := range c.places {
		if c.places[i].room == room {
			return &c.places[i]
		}
	}
	return nil
}

// join asks for all rooms, from where the socket was in them. The id is the place's number.
func (c *Conn) join() error {
	if len(c.places) == 0 {
		c.enteredOrFailed(nil)
		return nil
	}
	var frames []byte
	for i := range c.places {
		frames = c.appendJoin(frames, i)
	}
	c.tries = 0
	if !c.write(frames) {
		return errors.New("the server does not take the joins")
	}
	return nil
}

func (c *Conn) appendJoin(frames []byte, i int) []byte {
	at := &c.places[i]
	p := fmt.Sprintf(`{"type":"join","id":%d,"room":"%s","limit":1`, i, at.room.Slug())
	if at.next > 0 {
		p += `,"after":` + strconv.FormatInt(at.next-1, 10)
	}
	return appendFrame(frames, opText, []byte(p+"}"))
}

// joinTries is how often a socket asks again where the server has no answer in time.
const joinTries = 10

// joinAgain does what clients do who are told that a join could not be answered just now.
func (c *Conn) joinAgain(p []byte) error {
	i := int(after(p, `"id":`))
	c.tries++
	if !bytes.Contains(p, []byte(`"code":"unavailable"`)) || i >= len(c.places) || c.tries > joinTries {
		return fmt.Errorf("join, try %d: %.300s", c.tries, p)
	}
	c.loop.counts.Retried++
	if !c.write(c.appendJoin(nil, i)) {
		return errors.New("the server does not take a join")
	}
	return nil
}

// joined reads where the socket is in a room from now on.
func (c *Conn) joined(p []byte) error {
	id, rest := digits(p[len(isJoined):])
	if int(id) >= len(c.places) {
		return fmt.Errorf("an answer to no join: %.200s", p)
	}
	at, cursor := &c.places[id], after(rest, `"cursor":`)
	counts := &c.loop.counts
	if at.next > 0 {
		if !bytes.Contains(rest, []byte(`"recovered":true`)) {
			counts.Holes++
		} else {
			counts.Resumed++
			counts.Replayed += cursor - (at.next - 1)
		}
	}
	at.next = cursor + 1
	counts.Joined++
	if c.waiting--; c.waiting == 0 {
		c.enteredOrFailed(nil)
	}
	return nil
}

// write writes all of b; a socket that does not take it at once does not get it at all. It may be
// called at any time.
func (c *Conn) write(b []byte) bool {
	c.out.Lock()
	defer c.out.Unlock()
	if c.fd < 0 {
		return false
	}
	n, err := unix.Write(c.fd, b)
	if n > 0 && n < len(b) { // half a frame is out: nothing may follow it
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
	}
	return err == nil && n == len(b)
}
