// Package auth is the service that knows people: accounts, passwords, sessions and guests. It signs
// the tokens that all services believe, and tells in its lobby which of them are void.
package auth

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/changefeed"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/observe"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/httpapi"
	"github.com/parley-chat/parley/services/auth/internal/keys"
	"github.com/parley-chat/parley/services/auth/internal/session"
	"github.com/parley-chat/parley/services/auth/internal/sqlstore"
)

// Deps are what the service shares with its process.
type Deps struct {
	Log      *slog.Logger
	Registry prometheus.Registerer
	// Readiness is told while the database can't be used; nil: nobody is.
	Readiness *observe.Readiness
	Tracer    *trace.Tracer // nil: nothing is traced
	Now       func() time.Time
	Redis     redis.UniversalClient // carries the lobby; stays the caller's to close
}

// Service is the auth service, to be mounted on listeners and run as parts of a process.
type Service struct {
	config   Config
	log      *slog.Logger
	store    store
	accounts *account.Accounts
	sessions *session.Sessions
	ring     *keys.Ring
	api      *httpapi.API
	parts    []lifecycle.Part
}

// New opens the store, brings its schema up to date and makes the administrator that the
// configuration names, if there is none yet. The store is closed when the parts have stopped.
func New(ctx context.Context, c Config, d Deps) (_ *Service, err error) {
	kept, db, err := openStore(ctx, c.Store.Database, d.Tracer, d.Log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	if err = db.Register(d.Registry, "auth"); err != nil {
		return nil, err
	}
	watch, err := database.NewWatch(db, sqlstore.Schema(db), func(reason string) { d.Readiness.NotReady("auth database", reason) }, d.Log)
	if err != nil {
		return nil, err
	}
	s := &Service{config: c, store: kept, log: d.Log}
	log, err := kept.LobbyLog(ctx)
	if err != nil {
		return nil, err
	}
	events := lobby.NewPublisher(d.Redis, lobby.OfAuth, d.Log)
	hasher, err := account.NewHasher(c.Store.Hashing, d.Registry)
	if err != nil {
		return nil, err
	}
	s.accounts = account.New(account.Options{
		Store: kept, Names: kept, Hasher: hasher, Throttle: account.NewThrottle(c.BadLogins, d.Now),
		Announce: announcer{events, log}, Now: d.Now, NewID: webapi.NewID, Log: d.Log, Registry: d.Registry,
	})
	if err = fillNames(ctx, kept); err != nil {
		return nil, err
	}
	if c.Admin.Username != "" {
		if err = s.configuredAdmin(ctx); err != nil {
			return nil, err
		}
	}
	s.ring = keys.NewRing(kept, c.Issuer, c.KeyRotation, d.Log, d.Now)
	s.ring.Register(d.Registry)
	s.sessions = session.New(session.Options{
		Store: kept, Signer: s.ring, Announce: announcer{events, log}, Lifetimes: c.Lifetimes,
		Now: d.Now, NewID: webapi.NewID, Log: d.Log, Registry: d.Registry,
	})
	// Without Revocations: here every use of a token looks its session up.
	verifier, err := token.NewVerifier(c.Issuer, s.ring, nil, d.Now)
	if err != nil {
		return nil, err
	}
	s.api = httpapi.New(httpapi.Deps{
		Accounts: s.accounts, Sessions: s.sessions, Verifier: verifier, Keys: s.ring, Lobby: kept,
		Browsers: c.Browsers, Credential: c.Credential, Signup: c.Signup, Guests: c.Guests,
		Limits: c.Limits, NewID: webapi.NewID, Now: d.Now, Log: d.Log, Registry: d.Registry,
	})
	sweeps := &sweeper{sessions: s.sessions, store: kept, log: d.Log, now: d.Now}
	metric.Timestamp(d.Registry, "parley_auth_swept_timestamp_seconds", "When what is over by age was last deleted; 0 is not yet.", nil, sweeps.last)
	s.parts = []lifecycle.Part{
		{Name: "auth store", Component: db},
		{Name: "auth database watch", Component: watch},
		{Name: "auth lobby", Component: events},
		{Name: "auth signing keys", Component: s.ring},
		{Name: "auth sweeper", Component: lifecycle.Every{Interval: sweepEvery, Do: sweeps.sweep, Log: d.Log, Failed: "sweeping failed"}},
	}
	return s, nil
}

// fillNames brings the names of all accounts up to date.
func fillNames(ctx context.Context, names account.NameStore) error {
	_, err := untilNone(func() (int, error) { return names.FillNames(ctx, account.NameRule, account.NameOf) })
	if err != nil {
		return fmt.Errorf("bringing names up to date: %w", err)
	}
	return nil
}

// untilNone calls do, which does a bounded part of the work each time, until nothing is left, and returns how much it was.
func untilNone(do func() (int, error)) (total int, _ error) {
	for {
		n, err := do()
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}

// Routes mounts the public API.
func (s *Service) Routes(r fiber.Router) { s.api.Routes(r) }

// InternalRoutes mounts what other services call: the lobby, behind the service credential, and the public keys.
func (s *Service) InternalRoutes(r fiber.Router) { s.api.InternalRoutes(r) }

// Parts are the service's components, in the order in which they start; listeners come after them.
func (s *Service) Parts() []lifecycle.Part { return s.parts }

// announcer announces events of the log of that name.
type announcer struct {
	publisher *lobby.Publisher
	log       chat.LogID
}

// Announce implements account.Announcer and session.Announcer.
func (a announcer) Announce(_ context.Context, events []lobby.Event) {
	a.publisher.Announce(a.log, events)
}

const sweepEvery = 10 * time.Minute

// sweeper deletes what is over by age, and brings the names of accounts up to date that a pod of an
// older release made. All pods do; they don't get in each other's way.
type sweeper struct {
	sessions *session.Sessions
	store    sweepStore
	log      *slog.Logger
	now      func() time.Time
	swept    atomic.Int64 // Unix milliseconds
}

// last is when all was swept, zero if it never was.
func (s *sweeper) last() time.Time {
	if ms := s.swept.Load(); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

func (s *sweeper) sweep(ctx context.Context) error {
	swept, err := untilNone(func() (int, error) { return s.sessions.Sweep(ctx) })
	if swept > 0 {
		s.log.InfoContext(ctx, "sessions swept", slog.Int("count", swept))
	}
	if err != nil {
		return err
	}
	if _, err := untilNone(func() (int, error) { return s.store.PruneLobby(ctx, s.now().Add(-changefeed.Retention)) }); err != nil {
		return fmt.Errorf("sweeping the lobby: %w", err)
	}
	if _, err := untilNone(func() (int, error) { return s.store.PruneAudit(ctx, s.now().Add(-audit.Retention)) }); err != nil {
		return fmt.Errorf("sweeping audit entries: %w", err)
	}
	if err := fillNames(ctx, s.store); err != nil {
		return err
	}
	s.swept.Store(s.now().UnixMilli())
	return nil
}
