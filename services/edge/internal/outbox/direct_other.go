//go:build !unix

package outbox

import (
	"errors"
	"net"
	"syscall"
)

// direct is not to be had here: every socket has a goroutine that writes while something waits.
type direct struct{ buffer []byte }

func newDirect() *direct { return &direct{} }

func (*direct) write(syscall.RawConn) (int, error) { return 0, errors.ErrUnsupported }

func rawOf(net.Conn) syscall.RawConn { return nil }
