package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/session"
)

// callerLocal carries who came with the handshake to the socket's reader.
const callerLocal = "parley-caller"

// socket is the handshake. Who shows no token here does so in the first frame.
func (g *Gateway) socket(c *fiber.Ctx) error {
	draining := g.isDraining()
	err := g.handshake(c, draining)
	g.metrics.handshake(err, draining)
	return err
}

func (g *Gateway) handshake(c *fiber.Ctx, draining bool) error {
	switch {
	case !websocket.IsWebSocketUpgrade(c):
		return fiber.ErrUpgradeRequired
	case draining:
		return errDraining()
	}
	if err := g.connects.Allow(webapi.IPKey(webapi.ClientIP(c))); err != nil {
		return err
	}
	caller, err := g.auth.Handshake(c)
	if err != nil {
		return err
	}
	if caller != nil {
		c.Locals(callerLocal, *caller)
	}
	return g.upgrade(c)
}

// adopt takes the connection over as its handshake ends. What upgraded it (the request and its buffers, the
// library's socket) goes back to where it came from: an idle socket shall cost no more than itself.
func (g *Gateway) adopt(conn *websocket.Conn) {
	caller, _ := conn.Locals(callerLocal).(webapi.Caller)
	early, err := readAhead(conn.NetConn())
	own := unwrapped(conn.NetConn())
	if err != nil {
		_ = own.Close()
		return
	}
	g.sockets.Add(1)
	go g.serve(own, early, caller)
}

// reader is a socket that is being read.
type reader struct {
	*Gateway

	session  *session.Session
	messages messages
}

// serve makes the connection a session and reads it until it ends.
func (g *Gateway) serve(conn net.Conn, early []byte, caller webapi.Caller) {
	r := &reader{g, session.New(g.shared, conn), messages{conn: conn, early: early, limit: g.shared.Limits.Frame}}
	g.registry.Add(r.session)
	defer r.caught()
	if caller.Token != "" {
		r.session.Greet(context.Background(), caller.Claims, caller.Token)
	}
	g.log.Debug("socket opened", slog.Any("socket", r.session))
	if g.isDraining() { // the drain may have looked before the session was there
		r.session.Close(wire.CloseDrained)
	}
	go r.read()
}

// read waits for the client's next command and has it carried out. A goroutine that has carried one out has
// grown its stack, which an idle socket would keep: the next one is waited for by another.
func (r *reader) read() {
	defer r.caught()
	for {
		kind, payload, err := r.messages.next()
		switch {
		case errors.Is(err, errTooLarge):
			r.session.Close(wire.CloseTooLarge)
			continue // the client's last frames are read and forgotten, until it has seen the goodbye
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
			if r.messages.waits() {
				go r.read()
				return
			}
		case ping:
			r.session.Pinged(payload)
		case pong:
			r.session.Heard()
		case binaryData, continuation, closing:
			r.session.Close(wire.CloseBinary)
		}
	}
}

// caught ends a socket whose reader panicked, and no other.
func (r *reader) caught() {
	if p := recover(); p != nil {
		r.log.Error("a socket's reader panicked", slog.Any("socket", r.session), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		r.end()
	}
}

func (r *reader) end() {
	r.session.End()
	r.log.Debug("socket closed", slog.Any("socket", r.session), slog.Int("code", int(r.session.Code())))
	r.registry.Remove(r.session)
	r.sockets.Done()
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
