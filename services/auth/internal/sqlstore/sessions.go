package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/auth/internal/session"
)

// sweepAtOnce bounds one sweep, so that it holds its locks shortly.
const sweepAtOnce = 1000

// CreateSession implements session.Store. The account is locked against changes, so that none
// slips in between its check and the session's commit.
func (s *Store) CreateSession(ctx context.Context, sess session.Session, first session.Refresh, entries ...audit.Entry) error {
	return s.db.InTx(ctx, func(tx database.Querier) error {
		if sess.User.Kind == chat.KindUser {
			if err := checkAccount(ctx, tx, sess); err != nil {
				return err
			}
		}
		statements, err := s.audit.Insert(entries...)
		if err != nil {
			return err
		}
		return batch(ctx, tx, "inserting a session", append(statements,
			statement(`INSERT INTO auth_sessions (tenant, id, user_id, guest_name, family, created_at, used_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
				sess.Tenant, sess.ID, sess.User.ID, guestName(sess.User), sess.Family, millis(sess.Created), millis(sess.Used)),
			insertRefresh(sess.Tenant, sess.ID, first))...)
	})
}

func checkAccount(ctx context.Context, tx database.Querier, sess session.Session) error {
	var one int
	err := tx.QueryRow(ctx, `SELECT 1 FROM auth_accounts WHERE tenant = $1 AND id = $2 AND generation = $3 AND NOT disabled`+tx.Dialect().Locking("FOR SHARE"),
		sess.Tenant, sess.User.ID, sess.Generation).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Errorf(chat.CodeUnauthenticated, "the account has changed meanwhile: sign in again")
	}
	if err != nil {
		return fmt.Errorf("checking the account: %w", err)
	}
	return nil
}

func insertRefresh(tenant chat.TenantID, id chat.SessionID, r session.Refresh) database.Statement {
	parent := r.Parent
	if parent == nil {
		parent = []byte{}
	}
	return statement(`INSERT INTO auth_refresh_tokens (tenant, hash, session_id, parent, issued_at) VALUES ($1, $2, $3, $4, $5)`,
		tenant, r.Hash, id, parent, millis(r.Issued))
}

const sessionByID = `SELECT ` + sessionColumns + ` FROM ` + sessionFrom + ` WHERE s.tenant = $1 AND s.id = $2 AND ` + sessionLives

// SessionByID implements session.Store.
func (s *Store) SessionByID(ctx context.Context, tenant chat.TenantID, id chat.SessionID) (session.Session, error) {
	return readSession(s.db.QueryRow(ctx, sessionByID, tenant, id))
}

// RotateSession implements session.Store.
func (s *Store) RotateSession(ctx context.Context, tenant chat.TenantID, id chat.SessionID, hash []byte, decide func(session.Session, *session.Refresh) (session.Rotation, error)) error {
	return s.db.InTx(ctx, func(tx database.Querier) error {
		sess, err := readSession(tx.QueryRow(ctx, sessionByID+tx.Dialect().Locking("FOR UPDATE OF s"), tenant, id))
		if err != nil {
			return err
		}
		old, err := readRefresh(tx.QueryRow(ctx, `SELECT `+refreshColumns+` FROM `+refreshFrom+`
			WHERE r.tenant = $1 AND r.hash = $2 AND r.session_id = $3 `+refreshOrder, tenant, hash, id))
		if err != nil {
			return err
		}
		r, err := decide(sess, old)
		if err != nil {
			return err
		}
		return batch(ctx, tx, "rotating a refresh token", rotate(sess, old, r)...)
	})
}

// rotate are the statements that apply a rotation.
func rotate(sess session.Session, old *session.Refresh, r session.Rotation) []database.Statement {
	now := millis(r.Next.Issued)
	statements := []database.Statement{
		insertRefresh(sess.Tenant, sess.ID, r.Next),
		statement(`UPDATE auth_sessions SET used_at = $3 WHERE tenant = $1 AND id = $2`, sess.Tenant, sess.ID, now),
	}
	if r.First {
		statements = append(statements,
			statement(`UPDATE auth_refresh_tokens SET used_at = $3 WHERE tenant = $1 AND hash = $2`, sess.Tenant, old.Hash, now),
			statement(`DELETE FROM auth_refresh_tokens WHERE tenant = $1 AND session_id = $3 AND (hash = $2
				OR parent = (SELECT parent FROM auth_refresh_tokens WHERE tenant = $1 AND session_id = $3 AND hash = $2))`, sess.Tenant, old.Parent, sess.ID))
	}
	return append(statements, statement(`DELETE FROM auth_refresh_tokens WHERE tenant = $1 AND session_id = $2 AND hash NOT IN (
		SELECT hash FROM auth_refresh_tokens WHERE tenant = $1 AND session_id = $2
		ORDER BY hash IN ($3, $4) DESC, issued_at DESC LIMIT $5)`, sess.Tenant, sess.ID, old.Hash, r.Next.Hash, r.Keep))
}

// EndSession implements session.Store.
func (s *Store) EndSession(ctx context.Context, tenant chat.TenantID, id chat.SessionID, now time.Time, entry audit.Entry) (events []lobby.Event, entries []audit.Entry, _ error) {
	err := s.db.InTx(ctx, func(tx database.Querier) error {
		_, head, err := s.feed.Lock(ctx, tx)
		if err != nil {
			return err
		}
		var guest bool
		err = tx.QueryRow(ctx, `DELETE FROM auth_sessions WHERE tenant = $1 AND id = $2 RETURNING user_id, guest_name IS NOT NULL`, tenant, id).Scan(&entry.Actor, &guest)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("deleting a session: %w", err)
		}
		events = []lobby.Event{ended(tenant, entry.Actor, id, head+1, now)}
		statements, err := s.feed.Append(events...)
		if err != nil {
			return err
		}
		if !guest {
			entries = []audit.Entry{entry}
		}
		inserts, err := s.audit.Insert(entries...)
		if err != nil {
			return err
		}
		return batch(ctx, tx, "writing that a session has ended", append(statements, inserts...)...)
	})
	if err != nil {
		return nil, nil, err
	}
	return events, entries, nil
}

// SweepSessions implements session.Store. It passes over what others have locked, and so waits for nobody.
func (s *Store) SweepSessions(ctx context.Context, created, used time.Time) (int, error) {
	n, err := s.db.Exec(ctx, `DELETE FROM auth_sessions WHERE (tenant, id) IN (
		SELECT tenant, id FROM auth_sessions WHERE created_at < $1 OR used_at < $2 LIMIT $3`+s.db.Dialect().Locking("FOR UPDATE SKIP LOCKED")+`)`,
		millis(created), millis(used), sweepAtOnce)
	if err != nil {
		return 0, fmt.Errorf("sweeping sessions: %w", err)
	}
	return int(n), nil
}
