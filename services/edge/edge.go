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
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/gateway"
	"github.com/parley-chat/parley/services/edge/internal/hub"
	"github.com/parley-chat/parley/services/edge/internal/presence"
	"github.com/parley-chat/parley/services/edge/internal/roomsclient"
	"github.com/parley-chat/parley/services/edge/internal/session"
	"github.com/parley-chat/parley/services/edge/internal/tailer"
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
	gateway *gateway.Gateway
	parts   []lifecycle.Part
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

	rooms := hub.New(client, d.Log, d.Registry)
	tail := tailer.New(stream.NewReader(d.Redis), rooms, client, d.Log, d.Registry)
	tail.Tracer = d.Tracer
	people := presence.New(c.Presence, presence.NewRegistry(d.Redis, rand.Text(), c.Limits.Members), d.Redis, rooms, d.Log, d.Registry)
	bells := stream.NewBells(d.Redis, hearers{tail, people}, d.Log)
	rooms.Connect(bells, tail.Look)
	tail.SetBells(bells)
	tail.Renewed = func(ctx context.Context, room *hub.Room) {
		for _, m := range rooms.Close(ctx, room) {
			if s, ok := m.(*session.Session); ok {
				s.Close(wire.CloseDrained)
			}
		}
	}

	shared := &session.Shared{
		Hub: rooms, Rooms: client, Verifier: tokens, Presence: people,
		Limiter: session.NewLimiter(c.Rates), Writers: session.NewWriters(), Limits: c.Limits, Metrics: session.NewMetrics(d.Registry), Tracer: d.Tracer, Log: d.Log,
	}
	registry := session.NewRegistry(c.Limits.Heartbeat)
	told := &session.Lobby{Hub: rooms, Registry: registry, Revocations: tokens.Revocations, Log: d.Log}
	ofAuth := lobby.NewFollower(authPods, d.Redis, lobby.OfAuth, token.MaxLifetime, told, d.Log)
	ofRooms := lobby.NewFollower(roomsPods, d.Redis, lobby.OfRooms, 0, told, d.Log)
	ofRooms.OnRenewed = told.Renewed
	tokens.Keys.Register(d.Registry, "edge")
	ofAuth.Register(d.Registry, "edge")
	ofRooms.Register(d.Registry, "edge")

	return &Service{
		gateway: gateway.New(gateway.Options{
			Shared: shared, Registry: registry, Authenticator: &webapi.Authenticator{Verifier: tokens, Browsers: c.Browsers},
			Connects: c.Connects, Polls: c.Polls, Open: c.Open, Log: d.Log, Drain: c.Drain, Metrics: d.Registry,
		}),
		parts: []lifecycle.Part{
			{Name: "edge finds auth", Component: authPods},
			{Name: "edge finds rooms", Component: roomsPods},
			{Name: "edge signing keys", Component: tokens.Keys},
			{Name: "edge follows auth", Component: ofAuth},
			{Name: "edge follows rooms", Component: ofRooms},
			{Name: "bells", Component: bells},
			{Name: "hub", Component: rooms},
			{Name: "tailer", Component: tail},
			{Name: "presence", Component: people},
			{Name: "contact", Component: newContact(c.Grace, rooms, tail, ofAuth, ofRooms, d)},
			{Name: "writers", Component: shared.Writers},
			{Name: "calls of rooms", Component: waiter{client}},
			{Name: "sessions", Component: registry},
		},
	}, nil
}

// Routes mounts what clients call.
func (s *Service) Routes(r fiber.Router) { s.gateway.Routes(r) }

// Parts are the service's components, in the order in which they start; listeners come after them.
func (s *Service) Parts() []lifecycle.Part { return s.parts }

// Drain sends everybody elsewhere when it is stopped: it comes after the listeners, so that it stops
// before them.
func (s *Service) Drain() lifecycle.Part { return lifecycle.Part{Name: "drain", Component: s.gateway} }

// hearers hands what the bells bring to the tailer and to presence.
type hearers struct {
	*tailer.Tailer

	presence *presence.Presence
}

// Signalled implements stream.Hearer; the rest is the tailer's.
func (h hearers) Signalled(room stream.Room, kind byte, payload string) {
	h.presence.Signalled(room, kind, payload)
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
