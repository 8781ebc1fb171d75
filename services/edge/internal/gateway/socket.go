package gateway

import (
	"context"
	"io"
	"net"

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

// serve reads one socket until it ends. It alone holds the Conn, which is given to somebody else when
// serve returns: the session's writer has ended by then.
func (g *Gateway) serve(conn *websocket.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := session.New(g.shared, unwrapped(conn.NetConn()))
	g.registry.Add(s)
	defer g.registry.Remove(s)
	defer s.End()

	conn.SetPingHandler(func(payload string) error { s.Pinged([]byte(payload)); return nil })
	conn.SetPongHandler(func(string) error { s.Heard(); return nil })
	conn.SetCloseHandler(func(int, string) error { s.Close(wire.CloseNormal); return nil })
	if caller, ok := conn.Locals(callerLocal).(webapi.Caller); ok {
		s.Greet(ctx, caller.Claims, caller.Token)
	}
	if g.isDraining() { // the drain may have looked before the session was there
		s.Close(wire.CloseDrained)
	}
	for {
		kind, reader, err := conn.NextReader()
		if err != nil {
			return
		}
		if kind != websocket.TextMessage {
			s.Close(closeCode(kind))
			continue // the client's last frames are read and forgotten, until it has seen the goodbye
		}
		frame, err := io.ReadAll(io.LimitReader(reader, int64(g.shared.Limits.Frame)+1))
		if err != nil {
			return
		}
		if len(frame) > g.shared.Limits.Frame {
			s.Close(wire.CloseTooLarge)
			continue
		}
		s.Handle(ctx, frame)
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
