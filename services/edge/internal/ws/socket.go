package ws

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/gofiber/contrib/websocket"

	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/session"
)

// adopt takes the connection over as its handshake ends. What upgraded it (the request and its buffers, the
// library's socket) goes back to where it came from: an idle socket shall cost no more than itself.
func (s *Server) adopt(conn *websocket.Conn) {
	came, _ := conn.Locals(arrivalLocal).(arrival)
	early, err := readAhead(conn.NetConn())
	own := unwrapped(conn.NetConn())
	if err == nil && s.sockets.begin() {
		go s.serve(own, early, came)
		return
	}
	if err == nil { // the drain is over
		_ = own.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = own.Write(wire.AppendClose(nil, wire.CloseDrained))
	}
	_ = own.Close()
}

// reader is a socket that is being read.
type reader struct {
	*Server

	session  *session.Session
	messages messages
}

// serve makes the connection a session and reads it until it ends.
func (s *Server) serve(conn net.Conn, early []byte, came arrival) {
	one := session.New(s.shared, conn, came.address)
	r := &reader{s, one, messages{conn: conn, early: early, limit: one.MaxFrame(), counted: one.Counted}}
	s.registry.Add(one)
	defer r.recoverPanic()
	if came.caller.Token != "" {
		one.Greet(context.Background(), came.caller.Claims, came.caller.Token, nil)
		r.messages.limit = one.MaxFrame()
	}
	s.log.Debug("socket opened", slog.Any("socket", one))
	if s.drain.HasBegun() { // the drain may have looked before the session was there
		r.session.Close(wire.CloseDrained)
	}
	go r.read()
}

// read waits for the client's next command and has it carried out. A goroutine that has carried one out has
// grown its stack, which an idle socket would keep: the next one is waited for by another.
func (r *reader) read() {
	defer r.recoverPanic()
	for {
		kind, payload, err := r.messages.next()
		switch {
		case errors.Is(err, errTooLarge):
			r.session.Close(wire.CloseTooLarge)
			r.messages.drain()
		case errors.Is(err, errFlooding):
			r.session.Close(wire.CloseFlooding)
			r.messages.drain()
		case errors.Is(err, errProtocol):
			r.session.Close(wire.CloseProtocol)
		case kind == closing:
			r.session.Close(wire.CloseNormal)
		}
		if err != nil || kind == closing {
			r.end()
			return
		}
		switch kind {
		case text:
			r.session.Handle(context.Background(), payload)
			r.messages.limit = r.session.MaxFrame()
			if r.messages.waits() {
				go r.read()
				return
			}
		case ping:
			r.session.Pinged(payload)
		case pong:
			r.session.Active()
		case binaryData, continuation, closing:
			r.session.Close(wire.CloseBinary)
		}
	}
}

// recoverPanic ends a socket whose reader panicked, and no other.
func (r *reader) recoverPanic() {
	if p := recover(); p != nil {
		r.log.Error("a socket's reader panicked", slog.Any("socket", r.session), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		r.end()
	}
}

func (r *reader) end() {
	r.session.End()
	r.log.Debug("socket closed", slog.Any("socket", r.session), slog.Int("code", int(r.session.Code())))
	r.registry.Remove(r.session)
	r.sockets.end()
}

// readAhead is what the client sent right behind its handshake, which was read with it.
func readAhead(conn net.Conn) (early []byte, err error) {
	if err := conn.SetReadDeadline(time.Unix(1, 0)); err != nil { // of what is there: nothing is waited for
		return nil, err
	}
	var page [smallBuffer]byte
	for {
		n, err := conn.Read(page[:])
		early = append(early, page[:n]...)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return early, conn.SetReadDeadline(time.Time{})
		case err != nil:
			return nil, err
		}
	}
}

// unwrapped is the connection itself: the one that fasthttp hands out with a socket does nothing on
// Close, so that a session could never end a client that is silent, nor close one side alone.
func unwrapped(conn net.Conn) net.Conn {
	if wrapped, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		return wrapped.UnsafeConn()
	}
	return conn
}
