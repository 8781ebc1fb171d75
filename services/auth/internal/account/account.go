// Package account keeps people's accounts: who they are, their passwords, and what staff may do to
// them. It knows no transport; sessions are another package's.
package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/metric"
)

// Account is somebody who can sign in with a password.
type Account struct {
	Tenant     chat.TenantID
	ID         chat.UserID
	Username   string // as shown
	Key        string // as compared: see Key
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
	Revoke bool // raise the generation and tell so in the lobby
	End    bool // end all of its sessions
	Erase  bool // delete the account
}

// Store keeps accounts. Every method is one transaction.
type Store interface {
	// CreateAccount adds a: chat.CodeConflict if its Key is taken.
	CreateAccount(ctx context.Context, a Account) error
	// AccountByKey and AccountByID return one account: chat.CodeNotFound if there is none.
	AccountByKey(ctx context.Context, tenant chat.TenantID, key string) (Account, error)
	AccountByID(ctx context.Context, tenant chat.TenantID, id chat.UserID) (Account, error)
	// Accounts lists accounts whose Key contains part and is above after, by Key, limit at most.
	Accounts(ctx context.Context, tenant chat.TenantID, part, after string, limit int) ([]Account, error)
	// ChangeAccount applies change to the account (chat.CodeNotFound if there is none) and carries out
	// the effect, returning the account after it and what was written to the lobby at time now. Changes of
	// all accounts come one after the other, so that others, the number of other administrators who are not
	// disabled, still holds when the change commits. An error of change is returned as it is and undoes all.
	ChangeAccount(ctx context.Context, tenant chat.TenantID, id chat.UserID, now time.Time, change func(a *Account, others int) (Effect, error)) (Account, []lobby.Event, error)
	// SetHash replaces an account's password hash, if it is still old.
	SetHash(ctx context.Context, tenant chat.TenantID, id chat.UserID, old, fresh string) error
}

// Announcer tells the world that events are in the lobby. It is a hint, which may be lost, and must not block.
type Announcer interface {
	Announce(ctx context.Context, events []lobby.Event)
}

// Accounts is what can be done with accounts. It is safe for concurrent use.
type Accounts struct {
	store    Store
	hasher   *Hasher
	throttle *Throttle
	announce Announcer
	now      func() time.Time
	newID    func() string
	logins   *prometheus.CounterVec
}

// Options are what Accounts stand on.
type Options struct {
	Store    Store
	Hasher   *Hasher
	Throttle *Throttle
	Announce Announcer
	Now      func() time.Time
	NewID    func() string // opaque and never the same twice
	Registry prometheus.Registerer
}

// New makes Accounts.
func New(o Options) *Accounts {
	return &Accounts{
		store: o.Store, hasher: o.Hasher, throttle: o.Throttle, announce: o.Announce, now: o.Now, newID: o.NewID,
		logins: metric.Counters(o.Registry, "parley_auth_logins_total", "Tries to sign in with a password, by result.", "result", "ok", "refused", "throttled", "unavailable"),
	}
}

// Create makes an account: chat.CodeBadRequest for a name or password that may not be,
// chat.CodeConflict for a name that is taken.
func (s *Accounts) Create(ctx context.Context, tenant chat.TenantID, username, password string, staff bool) (Account, error) {
	a, err := s.prepare(ctx, tenant, username, password, staff)
	if err != nil {
		return Account{}, err
	}
	if err = s.store.CreateAccount(ctx, a); err != nil {
		return Account{}, fmt.Errorf("creating an account: %w", err)
	}
	return a, nil
}

func (s *Accounts) prepare(ctx context.Context, tenant chat.TenantID, username, password string, staff bool) (Account, error) {
	name, key, err := CheckUsername(username)
	if err != nil {
		return Account{}, err
	}
	if err = CheckPassword(password, key); err != nil {
		return Account{}, err
	}
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return Account{}, err
	}
	return Account{
		Tenant: tenant, ID: chat.UserID(s.newID()), Username: name, Key: key, Hash: hash,
		Staff: staff, Generation: 1, Created: s.now(),
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
	key := Key(username)
	try, err := s.throttle.Begin(string(tenant)+"\x00"+key, from)
	if err != nil {
		s.logins.WithLabelValues("throttled").Inc()
		return Account{}, err
	}
	a, err := s.verify(ctx, tenant, key, password)
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

func (s *Accounts) verify(ctx context.Context, tenant chat.TenantID, key, password string) (Account, error) {
	refused := chat.Errorf(chat.CodeUnauthenticated, "the username or the password is wrong")
	a, err := s.store.AccountByKey(ctx, tenant, key)
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

// CheckGuestName returns name as a guest may bear it: chat.CodeConflict where it is an account's,
// so that nobody poses as one.
func (s *Accounts) CheckGuestName(ctx context.Context, tenant chat.TenantID, name string) (string, error) {
	name, key, err := CheckUsername(name)
	if err != nil {
		return "", err
	}
	_, err = s.store.AccountByKey(ctx, tenant, key)
	if err == nil {
		return "", chat.Errorf(chat.CodeConflict, "an account bears that name: choose another")
	}
	if chat.CodeOf(err) != chat.CodeNotFound {
		return "", fmt.Errorf("looking a guest's name up: %w", err)
	}
	return name, nil
}

// FirstStore adds the first administrator.
type FirstStore interface {
	// CreateFirstAdmin adds a, unless the tenant has an administrator who is not disabled: then it
	// returns false. chat.CodeConflict if a's Key is taken. Of several callers at once one succeeds.
	CreateFirstAdmin(ctx context.Context, a Account) (bool, error)
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
	made, err := store.CreateFirstAdmin(ctx, a)
	if err != nil {
		return false, fmt.Errorf("creating the first administrator: %w", err)
	}
	return made, nil
}

// errNothing undoes a change that turned out to be none.
var errNothing = errors.New("nothing to change")
