//go:build unix

package follow

import (
	"net"
	"syscall"
)

// client is the other side of a connection that is being answered. The HTTP server reads nothing meanwhile,
// and does not notice that it is gone.
type client struct {
	conn syscall.RawConn // nil: can't be looked at
	peek func(fd uintptr)
	page [1]byte
	left bool
}

// watch looks after the client behind a connection.
func watch(conn net.Conn) *client {
	c := &client{}
	if able, ok := conn.(syscall.Conn); ok {
		c.conn, _ = able.SyscallConn()
	}
	c.peek = func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), c.page[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		waits := err == syscall.EAGAIN || err == syscall.EINTR
		c.left = n <= 0 && !waits
	}
	return c
}

// gone says whether the client has closed or reset the connection. What it has sent ahead hides that.
func (c *client) gone() bool {
	if c.conn == nil {
		return false
	}
	return c.conn.Control(c.peek) != nil || c.left // Read would mind the deadline of the request that was read
}
