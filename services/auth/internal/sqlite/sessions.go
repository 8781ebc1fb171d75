package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/auth/internal/record"
	"github.com/parley-chat/parley/services/auth/internal/session"
)

// sweepAtOnce bounds one sweep, so that it holds the write lock shortly.
const sweepAtOnce = 1000

// CreateSession implements session.Store.
func (s *Store) CreateSession(ctx context.Context, sess session.Session, first session.Refresh) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if sess.User.Kind == chat.KindUser {
			var one int
			err := tx.QueryRowContext(ctx, `SELECT 1 FROM auth_accounts WHERE tenant = ?1 AND id = ?2 AND generation = ?3 AND NOT disabled`,
				sess.Tenant, sess.User.ID, sess.Generation).Scan(&one)
			if errors.Is(err, sql.ErrNoRows) {
				return chat.Errorf(chat.CodeUnauthenticated, "the account has changed meanwhile: sign in again")
			}
			if err != nil {
				return fmt.Errorf("checking the account: %w", err)
			}
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO auth_sessions (tenant, id, user_id, guest_name, family, created_at, used_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`,
			sess.Tenant, sess.ID, sess.User.ID, record.GuestName(sess.User), sess.Family, record.Millis(sess.Created), record.Millis(sess.Used)); err != nil {
			return fmt.Errorf("inserting a session: %w", err)
		}
		return insertRefresh(ctx, tx, sess.Tenant, sess.ID, first)
	})
}

func insertRefresh(ctx context.Context, tx *sql.Tx, tenant chat.TenantID, id chat.SessionID, r session.Refresh) error {
	parent := r.Parent
	if parent == nil {
		parent = []byte{}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO auth_refresh_tokens (tenant, hash, session_id, parent, issued_at) VALUES (?1, ?2, ?3, ?4, ?5)`,
		tenant, r.Hash, id, parent, record.Millis(r.Issued)); err != nil {
		return fmt.Errorf("inserting a refresh token: %w", err)
	}
	return nil
}

// SessionByID implements session.Store.
func (s *Store) SessionByID(ctx context.Context, tenant chat.TenantID, id chat.SessionID) (session.Session, error) {
	return record.Session(s.db.QueryRowContext(ctx, `SELECT `+record.SessionColumns+` FROM `+record.SessionFrom+`
		WHERE s.tenant = ?1 AND s.id = ?2 AND `+record.SessionLives, tenant, id))
}

// RotateSession implements session.Store.
func (s *Store) RotateSession(ctx context.Context, tenant chat.TenantID, id chat.SessionID, hash []byte, decide func(session.Session, *session.Refresh) (session.Rotation, error)) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		sess, err := record.Session(tx.QueryRowContext(ctx, `SELECT `+record.SessionColumns+` FROM `+record.SessionFrom+`
			WHERE s.tenant = ?1 AND s.id = ?2 AND `+record.SessionLives+``, tenant, id))
		if err != nil {
			return err
		}
		old, err := record.Refresh(tx.QueryRowContext(ctx, `SELECT `+record.RefreshColumns+` FROM `+record.RefreshFrom+`
			WHERE r.tenant = ?1 AND r.hash = ?2 AND r.session_id = ?3 `+record.RefreshOrder, tenant, hash, id))
		if err != nil {
			return err
		}
		r, err := decide(sess, old)
		if err != nil {
			return err
		}
		return rotate(ctx, tx, sess, old, r)
	})
}

func rotate(ctx context.Context, tx *sql.Tx, sess session.Session, old *session.Refresh, r session.Rotation) error {
	if err := insertRefresh(ctx, tx, sess.Tenant, sess.ID, r.Next); err != nil {
		return err
	}
	now := record.Millis(r.Next.Issued)
	if _, err := tx.ExecContext(ctx, `UPDATE auth_sessions SET used_at = ?3 WHERE tenant = ?1 AND id = ?2`, sess.Tenant, sess.ID, now); err != nil {
		return fmt.Errorf("rotating a refresh token: %w", err)
	}
	if r.First {
		if _, err := tx.ExecContext(ctx, `UPDATE auth_refresh_tokens SET used_at = ?3 WHERE tenant = ?1 AND hash = ?2`, sess.Tenant, old.Hash, now); err != nil {
			return fmt.Errorf("rotating a refresh token: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM auth_refresh_tokens WHERE tenant = ?1 AND session_id = ?3 AND (hash = ?2
			OR parent = (SELECT parent FROM auth_refresh_tokens WHERE tenant = ?1 AND session_id = ?3 AND hash = ?2))`, sess.Tenant, old.Parent, sess.ID); err != nil {
			return fmt.Errorf("rotating a refresh token: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM auth_refresh_tokens WHERE tenant = ?1 AND session_id = ?2 AND hash NOT IN (
		SELECT hash FROM auth_refresh_tokens WHERE tenant = ?1 AND session_id = ?2
		ORDER BY hash IN (?3, ?4) DESC, issued_at DESC LIMIT ?5)`, sess.Tenant, sess.ID, old.Hash, r.Next.Hash, r.Keep); err != nil {
		return fmt.Errorf("rotating a refresh token: %w", err)
	}
	return nil
}

// EndSession implements session.Store.
func (s *Store) EndSession(ctx context.Context, tenant chat.TenantID, id chat.SessionID, now time.Time) (events []lobby.Event, _ error) {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		at, err := head(ctx, tx)
		if err != nil {
			return err
		}
		var user chat.UserID
		err = tx.QueryRowContext(ctx, `DELETE FROM auth_sessions WHERE tenant = ?1 AND id = ?2 RETURNING user_id`, tenant, id).Scan(&user)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("deleting a session: %w", err)
		}
		event := record.Ended(tenant, user, id, at+1, now)
		events = []lobby.Event{event}
		return write(ctx, tx, event)
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

// SweepSessions implements session.Store.
func (s *Store) SweepSessions(ctx context.Context, created, used time.Time) (int, error) {
	result, err := s.db.ExecContext(ctx, `DELETE FROM auth_sessions WHERE (tenant, id) IN (
		SELECT tenant, id FROM auth_sessions WHERE created_at < ?1 OR used_at < ?2 LIMIT ?3)`,
		record.Millis(created), record.Millis(used), sweepAtOnce)
	if err != nil {
		return 0, fmt.Errorf("sweeping sessions: %w", err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}
