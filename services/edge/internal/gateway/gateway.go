// Package gateway is where clients come in: the WebSocket, long polls and event streams, and the
// drain that sends them elsewhere when the edge stops.
package gateway

import (
	"context"
	"log/slog"
	"time"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/edge/internal/session"
)

// Gateway takes clients in.
type Gateway struct {
	shared   *session.Shared
	registry *session.Registry
	auth     *webapi.Authenticator
	connects *limit.Limiter // by address
	polls    *limit.Limiter // by user
	open     open
	log      *slog.Logger
	drain    Drain
	metrics  *metrics

	upgrade  fiber.Handler
	sockets  *readers
	draining chan struct{} // closed when the drain begins
}

// Drain says how long the edge takes to stop: Delay for others to notice that it is not ready, then
// Spread over which its sockets are told to go, and Grace in all.
type Drain struct{ Delay, Spread, Grace time.Duration }

// Options are what a Gateway is made of.
type Options struct {
	Shared          *session.Shared
	Registry        *session.Registry
	Authenticator   *webapi.Authenticator
	Connects, Polls limit.Rate
	Open            Open
	Log             *slog.Logger
	Drain           Drain
	Metrics         prometheus.Registerer // where the gateway's are counted
}

// New makes a gateway.
func New(o Options) *Gateway {
	g := &Gateway{
		shared: o.Shared, registry: o.Registry, auth: o.Authenticator, log: o.Log, drain: o.Drain,
		connects: limit.New(o.Connects, o.Shared.Metrics.Refused(session.LimitConnects)), polls: limit.New(o.Polls, o.Shared.Metrics.Refused(session.LimitPolls)),
		sockets: newReaders(), draining: make(chan struct{}),
	}
	g.open = newOpen(o.Open, o.Shared.Metrics)
	g.metrics = newMetrics(o.Metrics, g)
	// The origin is checked before, where a cookie speaks for the caller; "*" leaves it to us.
	g.upgrade = websocket.New(g.adopt, websocket.Config{
		HandshakeTimeout: 5 * time.Second, Origins: []string{"*"}, ReadBufferSize: smallBuffer, WriteBufferSize: smallBuffer,
		RecoverHandler: func(*websocket.Conn) {
			if p := recover(); p != nil {
				g.log.Error("a handshake panicked", slog.Any("panic", p))
			}
		},
	})
	return g
}

// Routes mounts what clients call.
func (g *Gateway) Routes(r fiber.Router) {
	r.Get("/ws", g.socket)
	r.Get("/sse", g.stream)
	r.Get("/api/rooms/:slug/events", g.poll)
	r.Get("/poll/:slug", g.poll) // for proxies that route by prefixes: the other one lies among rooms' paths
}

// Run is the drain: it waits for ctx to end and then sends everybody elsewhere. It must be the first
// part to stop, while the listener still answers.
func (g *Gateway) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.drain.Grace)
	defer cancel()
	noticed := time.NewTimer(g.drain.Delay)
	defer noticed.Stop()
	<-noticed.C
	close(g.draining)
	g.registry.Drain(stopping, g.drain.Spread) // polls and streams are answered meanwhile
	g.sockets.wait()
	return nil
}

func (g *Gateway) isDraining() bool {
	select {
	case <-g.draining:
		return true
	default:
		return false
	}
}

func errDraining() error {
	return &chat.Error{Code: chat.CodeUnavailable, Message: "this part of Parley is stopping, come again", RetryAfter: time.Second}
}
