//go:build !unix

package follow

import "net"

// client is the other side of a connection that is being answered: it is noticed to be gone as it is written to.
type client struct{}

func watch(net.Conn) *client { return nil }

func (*client) gone() bool { return false }
