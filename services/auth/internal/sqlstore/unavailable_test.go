package sqlstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/keys"
	"github.com/parley-chat/parley/services/auth/internal/session"
	"github.com/parley-chat/parley/services/auth/internal/storetest"
)

func TestAServerOutOfReachIsUnavailable(t *testing.T) {
	pool, err := pgxpool.New(t.Context(), "postgres://u@127.0.0.1:1/x?connect_timeout=1")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s := newStore(&database.Database{Postgres: pool})
	calls := map[string]func(ctx context.Context) error{
		"create": func(ctx context.Context) error { return s.CreateAccount(ctx, account.Account{}) },
		"find":   func(ctx context.Context) error { _, err := s.AccountByName(ctx, "t", account.Forms{}); return err },
		"list":   func(ctx context.Context) error { _, err := s.Accounts(ctx, "t", account.Forms{}, "", 1); return err },
		"change": func(ctx context.Context) error {
			_, _, err := s.ChangeAccount(ctx, "t", "u", time.Now(), nil)
			return err
		},
		"start":   func(ctx context.Context) error { return s.CreateSession(ctx, session.Session{}, session.Refresh{}) },
		"session": func(ctx context.Context) error { _, err := s.SessionByID(ctx, "t", "s"); return err },
		"refresh": func(ctx context.Context) error { return s.RotateSession(ctx, "t", "s", nil, nil) },
		"end": func(ctx context.Context) error {
			_, _, err := s.EndSession(ctx, "t", "s", time.Now(), audit.Entry{})
			return err
		},
		"audit": func(ctx context.Context) error { _, err := s.AuditPage(ctx, audit.Filter{}); return err },
		"keys":  func(ctx context.Context) error { _, err := s.SigningKeys(ctx); return err },
		"lobby": func(ctx context.Context) error { _, err := s.LobbyPage(ctx, 0, time.Time{}, 1); return err },
	}
	for what, call := range calls {
		if err := call(t.Context()); chat.CodeOf(err) != chat.CodeUnavailable {
			t.Errorf("%s: %v", what, err)
		}
		late, cancel := context.WithTimeout(t.Context(), 0)
		if err := call(late); chat.CodeOf(err) != chat.CodeUnavailable {
			t.Errorf("%s, out of time: %v", what, err)
		}
		cancel()
	}
}

// A server that goes away in the middle of a transaction.
func TestACutConnectionIsUnavailable(t *testing.T) {
	s := openPostgres(t)
	_, err := s.ChangeSigningKeys(t.Context(), func(list []keys.Key) ([]keys.Key, error) {
		_, err := s.db.Exec(t.Context(), `SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
			WHERE c.relname = 'auth_signing_keys' AND c.relnamespace = current_schema()::regnamespace AND l.mode = 'ShareRowExclusiveLock'`)
		return list, err
	})
	if chat.CodeOf(err) != chat.CodeUnavailable {
		t.Error(err)
	}
	if _, err := s.SigningKeys(t.Context()); err != nil {
		t.Error("the next call:", err)
	}
}

func TestAServerThatTakesNoWritesIsUnavailable(t *testing.T) {
	s := openPostgres(t)
	err := s.db.InTx(t.Context(), func(tx database.Querier) error {
		if _, err := tx.Exec(t.Context(), "SET TRANSACTION READ ONLY"); err != nil {
			return err
		}
		_, _, err := s.feed.Lock(t.Context(), tx)
		return err
	})
	if chat.CodeOf(err) != chat.CodeUnavailable {
		t.Error(err)
	}
}

func TestOtherErrorsStayAsTheyAre(t *testing.T) {
	s := openPostgres(t)
	_, err := s.db.Exec(t.Context(), "SELECT nonsense")
	if chat.CodeOf(err) != chat.CodeInternal {
		t.Error(err)
	}
	no := errors.New("no")
	if err = s.db.InTx(t.Context(), func(database.Querier) error { return no }); !errors.Is(err, no) || chat.CodeOf(err) != chat.CodeInternal {
		t.Error(err)
	}
	if err := s.CreateAccount(t.Context(), account.Account{Username: "a\x00b", Created: storetest.Start}); chat.CodeOf(err) != chat.CodeInternal {
		t.Error(err)
	}
}
