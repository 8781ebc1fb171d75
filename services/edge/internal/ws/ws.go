// Package ws is the WebSocket: the handshake, and what reads the clients' frames.
package ws

import (
	"context"
	"log/slog"
	"time"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/edge/internal/drain"
	"github.com/parley-chat/parley/services/edge/internal/ratelimit"
	"github.com/parley-chat/parley/services/edge/internal/session"
)

// Server takes sockets in.
type Server struct {
	shared   *session.Shared
	registry *session.Registry
	auth     *webapi.Authenticator
	connects *limit.Limiter // by address
	drain    *drain.Drain
	log      *slog.Logger
	metrics  *metrics

	upgrade fiber.Handler
	sockets *readers
}

// Options are what a Server is made of.
type Options struct {
	Shared        *session.Shared
	Registry      *session.Registry
	Authenticator *webapi.Authenticator
	Connects      limit.Rate
	Drain         *drain.Drain
	Log           *slog.Logger
	Metrics       prometheus.Registerer
}

// New makes a server.
func New(o Options) *Server {
	s := &Server{
		shared: o.Shared, registry: o.Registry, auth: o.Authenticator, drain: o.Drain, log: o.Log, sockets: newReaders(), metrics: newMetrics(o.Metrics),
		connects: limit.New(o.Connects, o.Shared.Limiter.Refused(ratelimit.Connects)),
	}
	// The origin is checked before, where a cookie speaks for the caller; "*" leaves it to us.
	s.upgrade = websocket.New(s.adopt, websocket.Config{
		HandshakeTimeout: 5 * time.Second, Origins: []string{"*"}, ReadBufferSize: smallBuffer, WriteBufferSize: smallBuffer,
		RecoverHandler: func(*websocket.Conn) {
			if p := recover(); p != nil {
				s.log.Error("a handshake panicked", slog.Any("panic", p))
			}
		},
	})
	return s
}

// Routes mounts what clients call.
func (s *Server) Routes(r fiber.Router) { r.Get("/ws", s.socket) }

// Drain implements drain.Sockets.
func (s *Server) Drain(ctx context.Context, spread time.Duration) {
	s.registry.Drain(ctx, spread)
	s.sockets.wait()
}
