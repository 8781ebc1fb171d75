package auth

import (
	"time"

	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/httpapi"
	"github.com/parley-chat/parley/services/auth/internal/session"
)

// Config is what an operator may choose.
type Config struct {
	Store       StoreConfig
	Credential  string
	Issuer      string
	Browsers    webapi.Browsers
	Signup      bool
	Guests      bool
	Lifetimes   session.Lifetimes
	KeyRotation time.Duration // how long a key signs, 0 for ever
	BadLogins   int           // free bad tries, 0 for any number
	Limits      httpapi.Limits
	Admin       Credentials // the first administrator, if Username is not empty
}

// StoreConfig is what the commands need too, which run beside the service.
type StoreConfig struct {
	Database string // postgres:// URL, or sqlite: and a path
	Hashing  account.HashConfig
}

// Credentials are a name and its password.
type Credentials struct {
	Username string
	Password string
}

// ConfigFrom reads the configuration of the service from the environment.
func ConfigFrom(r *env.Reader) Config {
	c := Config{
		Store:      StoreConfigFrom(r),
		Credential: webapi.CredentialFrom(r),
		Issuer:     r.String("PARLEY_ISSUER", "parley", "The issuer that access tokens must name."),
		Browsers:   webapi.BrowsersFrom(r),
		Signup:     r.Bool("PARLEY_SIGNUP", true, "Whether anyone may make an account; otherwise staff alone make them."),
		Guests:     r.Bool("PARLEY_GUESTS", true, "Whether anyone may come in as a guest, with a name and no password."),
		Lifetimes: session.Lifetimes{
			Access:   r.Duration("PARLEY_TOKEN_LIFETIME", 10*time.Minute, "How long an access token lives, 1h at most. Clients renew it by themselves."),
			Idle:     r.Duration("PARLEY_SESSION_IDLE", 30*24*time.Hour, "How long a session lives that is not used."),
			Absolute: r.Duration("PARLEY_SESSION_ABSOLUTE", 90*24*time.Hour, "How long any session lives. Then one must sign in again."),
		},
		KeyRotation: KeyRotationFrom(r),
		BadLogins:   r.Int("PARLEY_LIMIT_BAD_LOGINS", 5, 0, "Wrong passwords for one account from one network before each further one makes the next wait, 1s doubling up to 30s; 0 is no limit."),
		Limits: httpapi.Limits{
			Signup:      limit.From(r, "SIGNUP", limit.Rate{PerSecond: 1, Burst: 60}, "Accounts that one address makes"),
			Login:       limit.From(r, "LOGIN", limit.Rate{PerSecond: 5, Burst: 100}, "Tries to sign in from one address"),
			Guest:       limit.From(r, "GUEST", limit.Rate{PerSecond: 2, Burst: 100}, "Guests that come from one address"),
			Refresh:     limit.From(r, "REFRESH", limit.Rate{PerSecond: 20, Burst: 300}, "Renewals of tokens from one address, and as many sign-outs"),
			Reads:       limit.ReadsFrom(r),
			UserChanges: limit.From(r, "USER_CHANGE", limit.Rate{PerSecond: 5, Burst: 100}, "Users that one of staff makes, changes and erases"),
		},
		Admin: Credentials{
			Username: r.String("PARLEY_ADMIN_USER", "", "Name of the first administrator, who is made at a start that finds no administrator."),
			Password: r.Secret("PARLEY_ADMIN_PASSWORD", "The first administrator's password."),
		},
	}
	l := c.Lifetimes
	if l.Access < time.Second || l.Access > token.MaxLifetime {
		r.Mistake("PARLEY_TOKEN_LIFETIME: %s is not between 1s and %s", l.Access, token.MaxLifetime)
	}
	if l.Idle < l.Access || l.Absolute < l.Idle {
		r.Mistake("PARLEY_TOKEN_LIFETIME, PARLEY_SESSION_IDLE and PARLEY_SESSION_ABSOLUTE must not be each longer than the next")
	}
	if (c.Admin.Username == "") != (c.Admin.Password == "") {
		r.Mistake("PARLEY_ADMIN_USER and PARLEY_ADMIN_PASSWORD (or PARLEY_ADMIN_PASSWORD_FILE) are needed both or not at all")
	}
	return c
}

// KeyRotationFrom reads PARLEY_KEY_ROTATION.
func KeyRotationFrom(r *env.Reader) time.Duration {
	return r.Duration("PARLEY_KEY_ROTATION", 30*24*time.Hour, "How long a key signs tokens before the next one takes over; 0 is until `auth rotatekeys`.")
}

// StoreConfigFrom reads what the commands need.
func StoreConfigFrom(r *env.Reader) StoreConfig {
	return StoreConfig{
		Database: database.From(r, "PARLEY_AUTH_DATABASE", "Where accounts are kept"),
		Hashing: account.HashConfig{
			MemoryKiB:  uint32(min(r.Int("PARLEY_HASH_MEMORY", 19456, 19456, "Memory that a password hash takes, in KiB. Raised, it holds for an account from its next login on."), 4<<20)), //nolint:gosec // bounded
			Iterations: uint32(min(r.Int("PARLEY_HASH_ITERATIONS", 2, 1, "Passes over that memory."), 100)),                                                                                 //nolint:gosec // bounded
			Concurrent: r.Int("PARLEY_HASH_CONCURRENT", 4, 1, "Password hashes computed at once; more wait, and are refused after a while."),
			Wait:       r.Duration("PARLEY_HASH_WAIT", 3*time.Second, "How long a login waits for its turn."),
		},
	}
}
