// Package account keeps people's accounts: who they are, their passwords, and what staff may do to
// them. It knows no transport; sessions are another package's.
package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/metric"
)

// Account is somebody who can sign in with a password.
type Account struct {
	Tenant     chat.TenantID
	ID         chat.UserID
	Username   string // as shown
	Forms             // as compared; Folded is empty where an older release made the account and it is not filled in yet, or taken
	Skeleton   string // as looked at; empty likewise
	Hash       string // of the password, argon2id in PHC form
	Staff      bool
	Disabled   bool
	Generation int64 // tokens of lower ones are void; starts at 1
	Created    time.Time
}

// User returns a as others see it.
func (a Account) User() chat.User {
	return chat.User{ID: a.ID, Name: a.Username, Kind: chat.KindUser, Staff: a.Staff}
}

// Effect is what a change of an account entails, in the change's transaction.
type Effect struct {
	Revoke bool          // raise the generation and tell so in the lobby
	End    bool          // end all of its sessions
	Erase  bool          // delete the account
	Audit  []audit.Entry // say who did what
}

// Store keeps accounts. Every method is one transaction.
type Store interface {
	// CreateAccount adds a and the entries: chat.CodeConflict if its Key, Folded or Skeleton is taken.
	CreateAccount(ctx context.Context, a Account, entries ...audit.Entry) error
	// AccountByName returns the account with that Key, or else the one with that Folded:
	// chat.CodeNotFound if there is none.
	AccountByName(ctx context.Context, tenant chat.TenantID, name Forms) (Account, error)
	// AccountByID returns one account: chat.CodeNotFound if there is none.
	AccountByID(ctx context.Context, tenant chat.TenantID, id chat.UserID) (Account, error)
	// Accounts lists accounts whose Key or Folded contains that of part, and whose Key is above after, by
	// Key, limit at most.
	Accounts(ctx context.Context, tenant chat.TenantID, part Forms, after string, limit int) ([]Account, error)
	// ChangeAccount applies change to the account (chat.CodeNotFound if there is none) and carries out
	// the effect, returning the account after it and what was written to the lobby at time now. Changes of
	// all accounts come one after the other, so that others, the number of other administrators who are not
	// disabled, still holds when the change commits. An error of change is returned as it is and undoes all.
	ChangeAccount(ctx context.Context, tenant chat.TenantID, id chat.UserID, now time.Time, change func(a *Account, others int) (Effect, error)) (Account, []lobby.Event, error)
	// SetHash replaces an account's password hash, if it is still old.
	SetHash(ctx context.Context, tenant chat.TenantID, id chat.UserID, old, fresh string) error
}

// NameStore looks names up by how they look, and keeps what is made of them up to date.
type NameStore interface {
	// Resembling says whether an account has one of these skeletons.
	Resembling(ctx context.Context, tenant chat.TenantID, skeletons []string) (bool, error)
	// FillNames gives accounts of another rule what nameOf makes of their usernames, the oldest first,
	// and says how many: 0 when none is left. What another account has already stays empty: the account
	// goes on by its Key. So names that clash by a later rule lock nobody out.
	FillNames(ctx context.Context, rule int, nameOf func(username string) Name) (int, error)
}

// Announcer tells the world that events are in the lobby. It is a hint, which may be lost, and must not block.
type Announcer interface {
	Announce(ctx context.Context, events []lobby.Event)
}

// Accounts is what can be done with accounts. It is safe for concurrent use.
type Accounts struct {
	store    Store
	names    NameStore
	hasher   *Hasher
	throttle *Throttle
	announce Announcer
	now      func() time.Time
	newID    func() string
	log      *slog.Logger
	logins   *prometheus.CounterVec
}

// Options are what Accounts stand on.
type Options struct {
	Store    Store
	Names    NameStore
	Hasher   *Hasher
	Throttle *Throttle
	Announce Announcer
	Now      func() time.Time
	NewID    func() string // opaque and never the same twice
	Log      *slog.Logger  // is told of every audit entry
	Registry prometheus.Registerer
}

// New makes Accounts.
func New(o Options) *Accounts {
	return &Accounts{
		store: o.Store, names: o.Names, hasher: o.Hasher, throttle: o.Throttle, announce: o.Announce, now: o.Now, newID: o.NewID, log: o.Log,
		logins: metric.Counters(o.Registry, "parley_auth_logins_total", "Tries to sign in with a password, by result.", "result", "ok", "refused", "throttled", "unavailable"),
	}
}

// SignUp makes an account for somebody who asks for it. Errors are those of Create.
func (s *Accounts) SignUp(ctx context.Context, tenant chat.TenantID, username, password string, from audit.Origin) (Account, error) {
	a, err := s.prepare(ctx, tenant, username, password, false)
	if err != nil {
		return Account{}, err
	}
	return a, s.create(ctx, a, from.As(a.ID))
}

// Create makes an account for somebody else: chat.CodeBadRequest for a name or password that may not be,
// chat.CodeConflict for a name that is taken or looks like one that is.
func (s *Accounts) Create(ctx context.Context, tenant chat.TenantID, username, password string, staff bool, by audit.Origin) (Account, error) {
	a, err := s.prepare(ctx, tenant, username, password, staff)
	if err != nil {
		return Account{}, err
	}
	return a, s.create(ctx, a, by)
}

func (s *Accounts) create(ctx context.Context, a Account, by audit.Origin) error {
	entry := created(a, by)
	if err := s.store.CreateAccount(ctx, a, entry); err != nil {
		return fmt.Errorf("creating an account: %w", err)
	}
	audit.Log(ctx, s.log, entry)
	return nil
}

func created(a Account, by audit.Origin) audit.Entry {
	return by.Entry(a.Tenant, a.Created, audit.AccountCreated, string(a.ID), map[string]any{"staff": a.Staff})
}

func (s *Accounts) prepare(ctx context.Context, tenant chat.TenantID, username, password string, staff bool) (Account, error) {
	name, err := CheckUsername(username)
	if err != nil {
		return Account{}, err
	}
	if err = CheckPassword(password, name.Forms); err != nil {
		return Account{}, err
	}
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return Account{}, err
	}
	return Account{
		Tenant: tenant, ID: chat.UserID(s.newID()), Username: name.Shown, Forms: name.Forms, Skeleton: name.Skeleton,
		Hash: hash, Staff: staff, Generation: 1, Created: s.now(),
	}, nil
}

// LogIn returns the account of that name and password. Any mismatch is the same
// chat.CodeUnauthenticated after the same work, whether there is such an account or not;
// chat.CodeRateLimited asks to come again later, before the password is looked at.
// From is the part of the network that the try comes from.
func (s *Accounts) LogIn(ctx context.Context, tenant chat.TenantID, username, password, from string) (Account, error) {
	if err := checkSize(password); err != nil {
		return Account{}, err
	}
	name := FormsOf(username)
	try, err := s.throttle.Begin(throttleKey(tenant, name), from)
	if err != nil {
		s.logins.WithLabelValues("throttled").Inc()
		return Account{}, err
	}
	a, err := s.verify(ctx, tenant, name, password)
	switch {
	case err == nil:
		try.Succeeded()
		s.logins.WithLabelValues("ok").Inc()
	case chat.CodeOf(err) == chat.CodeUnauthenticated:
		try.Failed()
		s.logins.WithLabelValues("refused").Inc()
	default:
		try.Undecided()
		s.logins.WithLabelValues("unavailable").Inc()
	}
	return a, err
}

func (s *Accounts) verify(ctx context.Context, tenant chat.TenantID, name Forms, password string) (Account, error) {
	refused := chat.Errorf(chat.CodeUnauthenticated, "the username or the password is wrong")
	a, err := s.store.AccountByName(ctx, tenant, name)
	if chat.CodeOf(err) == chat.CodeNotFound {
		a, err = Account{Hash: s.hasher.Dummy()}, nil
	}
	if err != nil {
		return Account{}, fmt.Errorf("looking an account up: %w", err)
	}
	ok, outdated, err := s.hasher.Matches(ctx, password, a.Hash)
	if err != nil {
		return Account{}, err
	}
	if !ok || a.ID == "" || a.Disabled {
		return Account{}, refused
	}
	if outdated {
		if err := s.rehash(ctx, a, password); err != nil {
			return Account{}, err
		}
	}
	return a, nil
}

// rehash brings a hash made with weaker parameters up to date, now that the password is at hand. That
// hashing is too busy for it is no reason to refuse a login: the next one does it.
func (s *Accounts) rehash(ctx context.Context, a Account, password string) error {
	hash, err := s.hasher.Hash(ctx, password)
	if chat.CodeOf(err) == chat.CodeUnavailable {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.store.SetHash(ctx, a.Tenant, a.ID, a.Hash, hash); err != nil {
		return fmt.Errorf("renewing a password hash: %w", err)
	}
	return nil
}

// KnowFrom tells that the owner of an account is at work in that part of the network: whoever signed up
// or goes on with a session there is let in there, whatever others try.
func (s *Accounts) KnowFrom(tenant chat.TenantID, username, from string) {
	s.throttle.Know(throttleKey(tenant, FormsOf(username)), from)
}

// throttleKey is what the tries to sign in to an account are counted under: one for all ways to write its name.
func throttleKey(tenant chat.TenantID, name Forms) string {
	return string(tenant) + "\x00" + name.Folded
}

// CheckGuestName returns name as a guest may bear it: chat.CodeConflict where it is an account's or
// looks like one's, so that nobody poses as one.
func (s *Accounts) CheckGuestName(ctx context.Context, tenant chat.TenantID, name string) (string, error) {
	n, err := CheckUsername(name)
	if err != nil {
		return "", err
	}
	taken, err := s.names.Resembling(ctx, tenant, n.lookalikes())
	if err != nil {
		return "", fmt.Errorf("looking a guest's name up: %w", err)
	}
	if !taken { // by its looks: an account may have none yet
		_, err = s.store.AccountByName(ctx, tenant, n.Forms)
		if err != nil && chat.CodeOf(err) != chat.CodeNotFound {
			return "", fmt.Errorf("looking a guest's name up: %w", err)
		}
		taken = err == nil
	}
	if taken {
		return "", chat.Errorf(chat.CodeConflict, "an account bears that name or one that looks like it: choose another")
	}
	return n.Shown, nil
}

// FirstStore adds the first administrator.
type FirstStore interface {
	// CreateFirstAdmin adds a and the entries, unless the tenant has an administrator who is not disabled: then it
	// returns false. chat.CodeConflict if a's name is taken. Of several callers at once one succeeds.
	CreateFirstAdmin(ctx context.Context, a Account, entries ...audit.Entry) (bool, error)
	// HasAdmin says whether the tenant has an administrator who is not disabled.
	HasAdmin(ctx context.Context, tenant chat.TenantID) (bool, error)
}

// CreateFirst makes the first administrator, and says whether it did: not if there is one already.
func (s *Accounts) CreateFirst(ctx context.Context, store FirstStore, tenant chat.TenantID, username, password string) (bool, error) {
	has, err := store.HasAdmin(ctx, tenant)
	if err != nil || has {
		return false, err
	}
	a, err := s.prepare(ctx, tenant, username, password, true)
	if err != nil {
		return false, err
	}
	entry := created(a, audit.Origin{})
	done, err := store.CreateFirstAdmin(ctx, a, entry)
	if err != nil {
		return false, fmt.Errorf("creating the first administrator: %w", err)
	}
	if done {
		audit.Log(ctx, s.log, entry)
	}
	return done, nil
}

// errNoChange undoes a change that turned out to be none.
var errNoChange = errors.New("nothing to change")
