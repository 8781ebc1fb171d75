// Package rooms is the service that keeps the rooms: their directory, who may do what in them, and
// each room's log. It is the only writer of the rooms' streams.
package rooms

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/observe"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/rooms/internal/httpapi"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/postgres"
	"github.com/parley-chat/parley/services/rooms/internal/room"
)

// Deps are what the service shares with its process.
type Deps struct {
	Log      *slog.Logger
	Registry prometheus.Registerer
	// Readiness is told while the database can't be used; nil: nobody is.
	Readiness *observe.Readiness
	Tracer    *trace.Tracer // nil: nothing is traced
	Now       func() time.Time
	Redis     redis.UniversalClient // stays the caller's to close
	Dial      webapi.Dial           // how auth is reached, nil for TCP
}

// Service is the rooms service, to be mounted on listeners and run as parts of a process.
type Service struct {
	api   *httpapi.API
	parts []lifecycle.Part
}

// New opens the store, brings its schema up to date and, at the very first start, makes the first
// rooms. The store is closed when the parts have stopped.
func New(ctx context.Context, c Config, d Deps) (_ *Service, err error) {
	kept, db, err := openStores(ctx, c.Database, d.Tracer, d.Log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	if err = db.Register(d.Registry, "rooms"); err != nil {
		return nil, err
	}
	watch, err := database.NewWatch(db, postgres.Schema(), func(reason string) { d.Readiness.NotReady("rooms database", reason) }, d.Log)
	if err != nil {
		return nil, err
	}
	rooms, events := stream.NewPublisher(d.Redis, d.Log, d.Registry), lobby.NewPublisher(d.Redis, lobby.OfRooms, d.Log)
	rooms.Tracer = d.Tracer
	messages := message.New(message.Deps{
		Store: kept.logs, Members: kept.rest, Bus: bus{rooms, events}, Rules: c.Rules, Log: d.Log, Registry: d.Registry, Tracer: d.Tracer, Now: d.Now,
	})
	directory := room.New(room.Deps{Finder: kept.finder, Store: kept.rest, Members: kept.rest, Messages: messages, Rules: c.Rules, Log: d.Log, Registry: d.Registry})
	if err = directory.FillSearch(ctx); err != nil {
		return nil, fmt.Errorf("bring the rooms' search up to date: %w", err)
	}
	if c.Seed {
		if err = directory.Seed(ctx); err != nil {
			return nil, fmt.Errorf("make the first rooms: %w", err)
		}
	}
	authPods := webapi.NewClient(c.AuthURLs, c.Credential, d.Dial, d.Log)
	keys, follower, verifier, err := newVerifier(c, authPods, d)
	if err != nil {
		return nil, err
	}
	return &Service{
		api: httpapi.New(httpapi.Deps{
			Directory: directory, Messages: messages, Authenticator: &webapi.Authenticator{Verifier: verifier, Browsers: c.Browsers},
			Credential: c.Credential, Limits: c.Limits, Now: d.Now, Registry: d.Registry,
		}),
		parts: []lifecycle.Part{
			{Name: "rooms store", Component: db},
			{Name: "rooms database watch", Component: watch},
			{Name: "room streams", Component: rooms},
			{Name: "rooms lobby", Component: events},
			{Name: "rooms finds auth", Component: authPods},
			{Name: "rooms signing keys", Component: keys},
			{Name: "rooms follows auth", Component: follower},
			{Name: "rooms heads", Component: messages.Heads()},
			{Name: "rooms sweeper", Component: lifecycle.Every{Interval: sweepEvery, Do: (&sweeper{store: kept.rest, now: d.Now}).sweep, Log: d.Log, Failed: "sweeping failed"}},
		},
	}, nil
}

// newVerifier makes what checks tokens: by auth's keys, and by its lobby for what was revoked.
func newVerifier(c Config, auth lobby.Source, d Deps) (*token.KeySet, *lobby.Follower, *graced, error) {
	remote, err := token.NewRemote(c.Issuer, c.AuthURLs, d.Dial, d.Log, d.Now)
	if err != nil {
		return nil, nil, nil, err
	}
	follower := lobby.NewFollower(auth, d.Redis, lobby.OfAuth, token.MaxLifetime, revoked{remote.Revocations}, d.Log)
	remote.Keys.Register(d.Registry, "rooms")
	follower.Register(d.Registry, "rooms")
	return remote.Keys, follower, &graced{verifier: remote.Verifier, follower: follower, grace: c.Grace}, nil
}

// Routes mounts the public API.
func (s *Service) Routes(r fiber.Router) { s.api.Routes(r) }

// InternalRoutes mounts what other services call, behind the service credential.
func (s *Service) InternalRoutes(r fiber.Router) { s.api.InternalRoutes(r) }

// Parts are the service's components, in the order in which they start; listeners come after them.
func (s *Service) Parts() []lifecycle.Part { return s.parts }

// bus carries what was committed to Redis.
type bus struct {
	*stream.Publisher

	lobby *lobby.Publisher
}

// Announce implements message.Bus; the rest is the stream's publisher's.
func (b bus) Announce(log chat.LogID, events []lobby.Event) { b.lobby.Announce(log, events) }
