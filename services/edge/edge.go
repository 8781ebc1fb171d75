// Package edge is the service that holds the sockets: WebSockets, long polls and event streams, who
// is connected, and the fan-out. It has no database; any number of pods run side by side.
package edge

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/edge/internal/access"
	"github.com/parley-chat/parley/services/edge/internal/drain"
	"github.com/parley-chat/parley/services/edge/internal/feed"
	"github.com/parley-chat/parley/services/edge/internal/follow"
	"github.com/parley-chat/parley/services/edge/internal/outbox"
	"github.com/parley-chat/parley/services/edge/internal/presence"
	"github.com/parley-chat/parley/services/edge/internal/ratelimit"
	"github.com/parley-chat/parley/services/edge/internal/room"
	"github.com/parley-chat/parley/services/edge/internal/roomsclient"
	"github.com/parley-chat/parley/services/edge/internal/session"
	"github.com/parley-chat/parley/services/edge/internal/ws"
)

// Deps are what the service shares with its process.
type Deps struct {
	Log      *slog.Logger
	Registry prometheus.Registerer
	Tracer   *trace.Tracer // nil: nothing is traced
	Now      func() time.Time
	Redis    redis.UniversalClient // stays the caller's to close
	Dial     webapi.Dial           // how auth and rooms are reached, nil for TCP
}

// Service is the edge service, to be mounted on a listener and run as parts of a process.
type Service struct {
	sockets   *ws.Server
	followers *follow.Server
	drain     *drain.Drain
	parts     []lifecycle.Part
}

// New puts the edge together. Nothing runs before its parts do.
func New(c Config, d Deps) (*Service, error) {
	tokens, err := token.NewRemote(c.Issuer, c.AuthURLs, d.Dial, d.Log, d.Now)
	if err != nil {
		return nil, err
	}
	roomsPods := webapi.NewClient(c.RoomsURLs, c.Credential, d.Dial, d.Log)
	authPods := webapi.NewClient(c.AuthURLs, c.Credential, d.Dial, d.Log)
	client := roomsclient.New(roomsPods, d.Registry, d.Tracer)

	rooms := room.NewRooms(d.Registry)
	entries := feed.New(rooms, client, stream.NewReader(d.Redis), d.Log, d.Registry)
	entries.Tracer = d.Tracer
	people := presence.New(c.Presence, presence.NewRegistry(d.Redis, rand.Text(), c.Limits.Members), d.Redis, rooms, d.Log, d.Registry)
	notifications := stream.NewNotifications(d.Redis, subscribers{entries, people}, d.Log)
	entries.SetNotifications(notifications)
	limiter := ratelimit.New(c.Rates, d.Registry)
	grants := &access.Access{Feed: entries, Asker: client}
	shared := &session.Shared{
		Feed: entries, Access: grants, Rooms: client, Verifier: tokens, Presence: people, Limiter: limiter,
		Writers: outbox.NewWriters(), Outboxes: outbox.NewMetrics(d.Registry), Limits: c.Limits, Metrics: session.NewMetrics(d.Registry), Tracer: d.Tracer, Log: d.Log,
	}
	registry := session.NewRegistry(c.Limits.Heartbeat)
	events := access.NewEvents(grants, registry, tokens.Revocations)
	ofAuth := lobby.NewFollower(authPods, d.Redis, lobby.OfAuth, token.MaxLifetime, events, d.Log)
	ofRooms := lobby.NewFollower(roomsPods, d.Redis, lobby.OfRooms, 0, events, d.Log)
	ofRooms.OnRenewed = events.Renewed
	tokens.Keys.Register(d.Registry, "edge")
	ofAuth.Register(d.Registry, "edge")
	ofRooms.Register(d.Registry, "edge")

	authenticator := &webapi.Authenticator{Verifier: tokens, Browsers: c.Browsers}
	leaving := drain.New(c.Drain, d.Registry)
	sockets := ws.New(ws.Options{
		Shared: shared, Registry: registry, Authenticator: authenticator, Connects: c.Connects, Drain: leaving, Log: d.Log, Metrics: d.Registry,
	})
	leaving.Sockets = sockets
	followers := follow.New(follow.Options{
		Feed: entries, Access: grants, Authenticator: authenticator, Limiter: limiter, Polls: c.Polls, Open: c.Open,
		MaxAge: c.Limits.MaxAge, Aged: shared.Metrics.Aged(), Drain: leaving, Log: d.Log, Metrics: d.Registry,
	})
	return &Service{
		sockets: sockets, followers: followers, drain: leaving,
		parts: []lifecycle.Part{
			{Name: "edge finds auth", Component: authPods},
			{Name: "edge finds rooms", Component: roomsPods},
			{Name: "edge signing keys", Component: tokens.Keys},
			{Name: "access", Component: events},
			{Name: "edge follows auth", Component: ofAuth},
			{Name: "edge follows rooms", Component: ofRooms},
			{Name: "notifications", Component: notifications},
			{Name: "feed", Component: entries},
			{Name: "presence", Component: people},
			{Name: "contact", Component: newContact(c.Grace, entries, ofAuth, ofRooms, d)},
			{Name: "writers", Component: shared.Writers},
			{Name: "calls of rooms", Component: waiter{client}},
			{Name: "sessions", Component: registry},
		},
	}, nil
}

// Routes mounts what clients call.
func (s *Service) Routes(r fiber.Router) {
	s.sockets.Routes(r)
	s.followers.Routes(r)
}

// Parts are the service's components, in the order in which they start; listeners come after them.
func (s *Service) Parts() []lifecycle.Part { return s.parts }

// Drain sends everybody elsewhere when it is stopped: it comes after the listeners, so that it stops
// before them.
func (s *Service) Drain() lifecycle.Part { return lifecycle.Part{Name: "drain", Component: s.drain} }

// subscribers are told what the notifications bring: the feed of entries, presence of the rest.
type subscribers struct {
	*feed.Feed

	presence *presence.Presence
}

// Signalled implements stream.Subscriber.
func (s subscribers) Signalled(room stream.Room, kind byte, payload string) {
	s.presence.Signalled(room, kind, payload)
}

// waiter lets what is under way to the rooms service end before the process does.
type waiter struct{ client *roomsclient.Client }

// Run implements lifecycle.Component.
func (w waiter) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	w.client.Wait()
	return nil
}
