// Package storetest holds what every store of auth promises, as tests that each of them runs, and
// makes empty databases for tests.
package storetest

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/keys"
	"github.com/parley-chat/parley/services/auth/internal/session"
)

// Store is all that a store of auth does.
type Store interface {
	account.Store
	account.NameStore
	account.FirstStore
	session.Store
	keys.Store
	Lobby
	Audit
}

// Lobby is the lobby's part of a store.
type Lobby interface {
	LobbyLog(ctx context.Context) (chat.LogID, error)
	LobbyPage(ctx context.Context, after chat.Seq, since time.Time, limit int) (lobby.Page, error)
	PruneLobby(ctx context.Context, before time.Time) (int, error)
	RenewLobby(ctx context.Context, log chat.LogID) error
}

// Audit is a store's table of audit entries.
type Audit interface {
	AuditPage(ctx context.Context, f audit.Filter) ([]audit.Entry, error)
	PruneAudit(ctx context.Context, before time.Time) (int, error)
}

// Database is an empty database for the test T, its URL given as PARLEY_AUTH_DATABASE is.
type Database struct {
	T   *testing.T
	URL string
}

// EachDatabase runs test on an empty database of each kind.
func EachDatabase(t *testing.T, test func(Database)) {
	t.Helper()
	for kind, url := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { t.Helper(); return "sqlite:" + SQLite(t) },
		"postgres": func(t *testing.T) string { t.Helper(); return Postgres(t) },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(Database{t, url(t)})
		})
	}
}

// SQLite returns the path of a database file that is not there yet.
func SQLite(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "auth.db")
}

// Postgres returns the URL of an empty schema of its own, which goes with the test. A missing server
// is a failure.
func Postgres(t testing.TB) string {
	t.Helper()
	base := os.Getenv("PARLEY_TEST_POSTGRES")
	if base == "" {
		t.Fatal("PARLEY_TEST_POSTGRES is not set; run the tests by make test")
	}
	schema := "auth_" + strings.ToLower(rand.Text())
	run := func(ctx context.Context, sql string) {
		conn, err := pgx.Connect(ctx, base)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(ctx) }()
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	run(t.Context(), "CREATE SCHEMA "+schema)
	t.Cleanup(func() { run(context.WithoutCancel(t.Context()), "DROP SCHEMA "+schema+" CASCADE") })
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return u.String()
}

// Start is when the tests begin, in a clock that they turn by hand.
var Start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

const tenant = chat.DefaultTenant

// suite is one test and its store.
type suite struct {
	t *testing.T
	Store
}

// Run tries every promise on stores that open makes, an empty one each time.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	for name, test := range map[string]func(s suite){
		"accounts are found":                 accountsAreFound,
		"names are found in all forms":       namesAreFoundInAllForms,
		"names are filled in":                namesAreFilledIn,
		"names are unique in a tenant":       namesAreUnique,
		"tenants are apart":                  tenantsAreApart,
		"accounts are listed":                accountsAreListed,
		"changes are whole":                  changesAreWhole,
		"acts and entries go together":       actsAndEntriesGoTogether,
		"effects go with the change":         effectsGoWithTheChange,
		"an administrator stays":             anAdministratorStays,
		"one first administrator":            oneFirstAdministrator,
		"hashes are set if still old":        hashesAreSetIfStillOld,
		"sessions are found":                 sessionsAreFound,
		"no session for who is out":          noSessionForWhoIsOut,
		"refresh tokens rotate":              refreshTokensRotate,
		"rotations come one after the other": rotationsComeOneAfterTheOther,
		"siblings are told":                  siblingsAreTold,
		"few tokens are kept":                fewTokensAreKept,
		"sessions end once":                  sessionsEndOnce,
		"sessions are swept":                 sessionsAreSwept,
		"keys are kept":                      keysAreKept,
		"key changes don't get lost":         keyChangesDontGetLost,
	} {
		// Not in parallel: those who migrate a database at once wait for each other, in steps of 5 s.
		t.Run(name, func(t *testing.T) { test(suite{t, open(t)}) })
	}
	t.Run("lobby", func(t *testing.T) { runLobby(t, open) })
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantCode(t *testing.T, what string, err error, code chat.Code) {
	t.Helper()
	if chat.CodeOf(err) != code {
		t.Errorf("%s: %v, want %q", what, err, code)
	}
}

func anAccount(name string) account.Account {
	return account.Account{
		Tenant: tenant, ID: chat.UserID("ID" + strings.ToUpper(name)), Username: name, Forms: same(strings.ToLower(name)),
		Skeleton: "looks of " + strings.ToLower(name), Hash: "hash of " + name, Generation: 1, Created: Start,
	}
}

// same is a name of which all forms are one.
func same(name string) account.Forms { return account.Forms{Key: name, Folded: name} }

func create(t *testing.T, s Store, a account.Account) account.Account {
	t.Helper()
	if err := s.CreateAccount(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return a
}

func aSession(id string, u chat.User, generation int64) session.Session {
	return session.Session{
		Tenant: tenant, ID: chat.SessionID(id), User: u, Generation: generation, Family: []byte("family of " + id),
		Created: Start, Used: Start,
	}
}

func guest(name string) chat.User {
	return chat.User{ID: chat.UserID("G" + name), Name: name, Kind: chat.KindGuest}
}

// endSession ends a session, and returns what it wrote to the lobby.
func endSession(t *testing.T, s Store, tenant chat.TenantID, id chat.SessionID) []lobby.Event {
	t.Helper()
	events, _, err := s.EndSession(t.Context(), tenant, id, Start, audit.Entry{})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func begin(t *testing.T, s Store, sess session.Session) session.Session {
	t.Helper()
	if err := s.CreateSession(t.Context(), sess, firstOf(sess)); err != nil {
		t.Fatal(err)
	}
	return sess
}

// firstOf is the token that a session starts with.
func firstOf(sess session.Session) session.Refresh {
	return session.Refresh{Hash: []byte("first of " + sess.ID), Issued: sess.Created}
}
