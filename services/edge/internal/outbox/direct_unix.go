//go:build unix

package outbox

import (
	"net"
	"syscall"
)

// direct writes to sockets without waiting: what a socket does not take at once is left. One goroutine
// uses it.
type direct struct {
	buffer  []byte
	written int
	err     error
	attempt func(fd uintptr) bool // made once, not for each write
}

func newDirect() *direct {
	d := &direct{buffer: make([]byte, 0, writeChunk)}
	d.attempt = func(fd uintptr) bool {
		for {
			d.written, d.err = syscall.Write(int(fd), d.buffer)
			if d.err != syscall.EINTR { //nolint:errorlint // system calls return it bare
				return true // also if the socket takes nothing now: nobody waits here
			}
		}
	}
	return d
}

// write writes buffer and returns how much of it the socket took.
func (d *direct) write(conn syscall.RawConn) (int, error) {
	d.written, d.err = 0, nil
	if err := conn.Write(d.attempt); err != nil {
		return 0, err
	}
	if d.err == syscall.EAGAIN { //nolint:errorlint // as above
		return 0, nil
	}
	return max(d.written, 0), d.err
}

// rawOf is conn for a direct; nil where it can't be used by one.
func rawOf(conn net.Conn) syscall.RawConn {
	able, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := able.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}
