// Package follow lets clients follow rooms at their own pace: by long poll, or by an event stream.
package follow

import (
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/edge/internal/access"
	"github.com/parley-chat/parley/services/edge/internal/drain"
	"github.com/parley-chat/parley/services/edge/internal/feed"
	"github.com/parley-chat/parley/services/edge/internal/ratelimit"
)

// Options are what a Server is made of.
type Options struct {
	Feed          *feed.Feed
	Access        *access.Access
	Authenticator *webapi.Authenticator
	Limiter       *ratelimit.Limiter
	Polls         limit.Rate
	Open          Open
	MaxAge        time.Duration // of an event stream, about; 0 is any
	Aged          prometheus.Counter
	Drain         *drain.Drain
	Log           *slog.Logger
	Metrics       prometheus.Registerer
}

// Server answers long polls and event streams.
type Server struct {
	Options

	started *limit.Limiter // by user
	open    open

	polling, streams prometheus.Gauge
}

// New makes a server.
func New(o Options) *Server {
	followers := promauto.With(o.Metrics).NewGaugeVec(prometheus.GaugeOpts{Name: "parley_edge_followers", Help: "Long polls and event streams that are open."}, []string{"kind"})
	return &Server{
		Options: o, open: newOpen(o.Open, o.Limiter), started: limit.New(o.Polls, o.Limiter.Refused(ratelimit.Polls)),
		polling: followers.WithLabelValues("poll"), streams: followers.WithLabelValues("sse"),
	}
}

// Routes mounts what clients call.
func (s *Server) Routes(r fiber.Router) {
	r.Get("/sse", s.stream)
	r.Get("/api/rooms/:slug/events", s.poll)
	r.Get("/poll/:slug", s.poll) // for proxies that route by prefixes: the other one lies among rooms' paths
}
