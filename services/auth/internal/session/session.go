// Package session keeps sign-ins: a session begins at login, goes on by refresh tokens that rotate,
// and ends by logout, by age, by theft, or with its account's rights. It knows no transport.
package session

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/token"
)

// Session is one sign-in. A session that has ended is gone from the store.
type Session struct {
	Tenant     chat.TenantID
	ID         chat.SessionID
	User       chat.User // as they are now
	Generation int64     // the user's, now; 0 for guests
	Family     []byte    // the secret that marks the session's refresh tokens as its own
	Created    time.Time
	Used       time.Time // when it was last refreshed
}

// Refresh is what is kept of a refresh token.
type Refresh struct {
	Hash   []byte // SHA-256 of the token
	Parent []byte // hash of the token that it was given for, empty at login
	Issued time.Time
	Used   time.Time // zero until it is
	// Sibling is the hash of the other token given for the same Parent that was used first, and SiblingUsed
	// when; empty if none was. Only RotateSession fills them in.
	Sibling     []byte
	SiblingUsed time.Time
}

// Store keeps sessions. Every method is one transaction.
type Store interface {
	// CreateSession adds a session with its first token, and the entries: chat.CodeUnauthenticated if its user is an
	// account that is gone, disabled or of another generation by now.
	CreateSession(ctx context.Context, s Session, first Refresh, entries ...audit.Entry) error
	// SessionByID returns a session that has not ended, its user as they are now: chat.CodeNotFound otherwise.
	SessionByID(ctx context.Context, tenant chat.TenantID, id chat.SessionID) (Session, error)
	// RotateSession looks up the session (chat.CodeNotFound) and its token of that hash (nil if it is
	// not kept) and applies what decide returns. Rotations of one session come one after the other.
	// An error of decide is returned as it is, and nothing is changed.
	RotateSession(ctx context.Context, tenant chat.TenantID, id chat.SessionID, hash []byte, decide func(Session, *Refresh) (Rotation, error)) error
	// EndSession deletes a session and writes so to the lobby at time now, and, if it was an account's, the entry with
	// the account as its actor. It returns what it has written. There being no session is no error, and writes nothing.
	EndSession(ctx context.Context, tenant chat.TenantID, id chat.SessionID, now time.Time, entry audit.Entry) ([]lobby.Event, []audit.Entry, error)
	// SweepSessions deletes sessions created before created or used before used, some thousand at most, and says how many.
	SweepSessions(ctx context.Context, created, used time.Time) (int, error)
}

// Rotation is what a use of a refresh token changes.
type Rotation struct {
	Next Refresh // the token given out
	// First says that the old token is used for the first time: it is marked so, and its parent is no
	// longer "the latest old one", so the parent is forgotten, with all that were given beside the parent.
	First bool
	Keep  int // how many tokens of the session are kept, the youngest
}

// Announcer tells the world that events are in the lobby. It is a hint, which may be lost, and must not block.
type Announcer interface {
	Announce(ctx context.Context, events []lobby.Event)
}

// Signer signs access tokens with the current key.
type Signer interface {
	Sign(c token.Claims) (string, error)
}

// Lifetimes are how long things last.
type Lifetimes struct {
	Access   time.Duration // an access token
	Idle     time.Duration // a session that is not refreshed
	Absolute time.Duration // any session
}

// Sessions is what can be done with sessions. It is safe for concurrent use.
type Sessions struct {
	store     Store
	signer    Signer
	announce  Announcer
	lifetimes Lifetimes
	now       func() time.Time
	newID     func() string
	log       *slog.Logger
	issued    *prometheus.CounterVec
	refreshes *prometheus.CounterVec
}

// Options are what Sessions stand on.
type Options struct {
	Store     Store
	Signer    Signer
	Announce  Announcer
	Lifetimes Lifetimes
	Now       func() time.Time
	NewID     func() string // opaque, at least 128 random bits
	Log       *slog.Logger  // is told of every audit entry
	Registry  prometheus.Registerer
}

// New makes Sessions.
func New(o Options) *Sessions {
	return &Sessions{
		store: o.Store, signer: o.Signer, announce: o.Announce, lifetimes: o.Lifetimes, now: o.Now, newID: o.NewID, log: o.Log,
		issued:    metric.Counters(o.Registry, "parley_auth_tokens_issued_total", "Access tokens issued, by the kind of user.", "kind", string(chat.KindUser), string(chat.KindGuest)),
		refreshes: metric.Counters(o.Registry, "parley_auth_refreshes_total", "Uses of refresh tokens, by result; reused: by a thief, or after one, so that the session was ended.", "result", "ok", "again", "refused", "reused"),
	}
}

// Grant is what a client gets when it signs in or refreshes.
type Grant struct {
	User           chat.User
	AccessToken    string
	AccessExpires  time.Duration // from now
	RefreshToken   string
	RefreshExpires time.Duration // from now
}

// Start begins a session of u, whose account is at that generation (0 for guests).
func (s *Sessions) Start(ctx context.Context, tenant chat.TenantID, u chat.User, generation int64, from audit.Origin) (Grant, error) {
	now := s.now()
	sess := Session{
		Tenant: tenant, ID: chat.SessionID(s.newID()), User: u, Generation: generation,
		Family: newFamily(), Created: now, Used: now,
	}
	raw := s.newRefresh(sess)
	var entries []audit.Entry
	if u.Kind == chat.KindUser {
		entries = append(entries, from.As(u.ID).Entry(tenant, now, audit.SignedIn, string(sess.ID), nil))
	}
	if err := s.store.CreateSession(ctx, sess, Refresh{Hash: hashOf(raw), Issued: now}, entries...); err != nil {
		return Grant{}, fmt.Errorf("starting a session: %w", err)
	}
	audit.Log(ctx, s.log, entries...)
	return s.grant(sess, raw, now)
}

// Check returns the session that the claims name, if it still lives and its user's rights are those
// that the claims say: chat.CodeUnauthenticated otherwise.
func (s *Sessions) Check(ctx context.Context, c token.Claims) (Session, error) {
	sess, err := s.store.SessionByID(ctx, c.Tenant, c.Session)
	if chat.CodeOf(err) == chat.CodeNotFound {
		return Session{}, errEnded()
	}
	if err != nil {
		return Session{}, fmt.Errorf("looking a session up: %w", err)
	}
	if sess.User.ID != c.User.ID || sess.Generation != c.Generation || s.over(sess, s.now()) {
		return Session{}, errEnded()
	}
	return sess, nil
}

// End ends a session at the wish of its user, if it still lives.
func (s *Sessions) End(ctx context.Context, tenant chat.TenantID, id chat.SessionID, from audit.Origin) error {
	return s.end(ctx, tenant, id, from, "signed_out")
}

func (s *Sessions) end(ctx context.Context, tenant chat.TenantID, id chat.SessionID, from audit.Origin, reason string) error {
	now := s.now()
	events, entries, err := s.store.EndSession(ctx, tenant, id, now, from.Entry(tenant, now, audit.SessionEnded, string(id), map[string]any{"reason": reason}))
	if err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	if len(events) > 0 {
		s.announce.Announce(ctx, events)
	}
	audit.Log(ctx, s.log, entries...)
	return nil
}

// Sweep deletes what has ended by age.
func (s *Sessions) Sweep(ctx context.Context) (int, error) {
	now := s.now()
	return s.store.SweepSessions(ctx, now.Add(-s.lifetimes.Absolute), now.Add(-s.lifetimes.Idle))
}

func (s *Sessions) over(sess Session, now time.Time) bool {
	return now.Sub(sess.Used) >= s.lifetimes.Idle || now.Sub(sess.Created) >= s.lifetimes.Absolute
}

func (s *Sessions) grant(sess Session, refresh string, now time.Time) (Grant, error) {
	left := sess.Created.Add(s.lifetimes.Absolute).Sub(now) // no token outlives its session
	lifetime := min(s.lifetimes.Access, left)
	issued := now.Truncate(time.Second)
	raw, err := s.signer.Sign(token.Claims{
		Tenant: sess.Tenant, User: sess.User, Session: sess.ID, Generation: sess.Generation,
		Issued: issued, Expires: issued.Add(lifetime),
	})
	if err != nil {
		return Grant{}, fmt.Errorf("issuing a token: %w", err)
	}
	s.issued.WithLabelValues(string(sess.User.Kind)).Inc()
	return Grant{
		User: sess.User, AccessToken: raw, AccessExpires: lifetime,
		RefreshToken: refresh, RefreshExpires: min(s.lifetimes.Idle, left),
	}, nil
}

func errEnded() error {
	return chat.Errorf(chat.CodeUnauthenticated, "the session has ended: sign in again")
}
