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
	switch {
	case !websocket.IsWebSocketUpgrade(c):
		return fiber.ErrUpgradeRequired
	case g.isDraining():
		return errDraining()
	}
	if err := g.connects.Allow(webapi.IPKey(webapi.ClientIP(c))); err != nil {
		return err
	}
	raw, byCookie := g.auth.Token(c)
	if raw != "" && byCookie {
		if err := g.auth.Browsers.CheckHandshake(c); err != nil {
			return err
		}
	}
	if raw != "" {
		claims, err := g.auth.Verifier.Verify(c.UserContext(), raw)
		if err != nil {
			return err
		}
		c.Locals(callerLocal, webapi.Caller{Claims: claims, Token: raw, ByCookie: byCookie})
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
	g.sockets.Go(func() { g.serve(own, early, caller) })
}

// serve reads one socket until it ends.
func (g *Gateway) serve(conn net.Conn, early []byte, caller webapi.Caller) {
	defer func() {
		if p := recover(); p != nil {
			g.log.Error("a socket's reader panicked", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := session.New(g.shared, conn)
	g.registry.Add(s)
	defer g.registry.Remove(s)
	defer s.End()

	if caller.Token != "" {
		s.Greet(ctx, caller.Claims, caller.Token)
	}
	if g.isDraining() { // the drain may have looked before the session was there
		s.Close(wire.CloseDrained)
	}
	m := messages{conn: conn, early: early, limit: g.shared.Limits.Frame}
	for {
		kind, payload, err := m.next()
		switch {
		case errors.Is(err, errTooLarge):
			s.Close(wire.CloseTooLarge)
			continue // the client's last frames are read and forgotten, until it has seen the goodbye
		case errors.Is(err, errProtocol):
			s.Close(wire.CloseProtocol)
			return
		case err != nil:
			return
		}
		switch kind {
		case text:
			s.Handle(ctx, payload)
		case ping:
			s.Pinged(payload)
		case pong:
			s.Heard()
		case closing:
			s.Close(wire.CloseNormal)
			return
		case binaryData, continuation:
			s.Close(wire.CloseBinary)
		}
	}
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
