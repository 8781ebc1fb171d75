package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/record"
)

const insertAccount = `INSERT INTO auth_accounts (` + record.NewAccount + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)`

// CreateAccount implements account.Store.
func (s *Store) CreateAccount(ctx context.Context, a account.Account) error {
	_, err := s.db.ExecContext(ctx, insertAccount, record.AccountRow(a)...)
	return taken(err)
}

func taken(err error) error {
	if isDuplicate(err) {
		return chat.Errorf(chat.CodeConflict, "that username is taken, or looks like one that is: choose another")
	}
	if err != nil {
		return fmt.Errorf("inserting an account: %w", err)
	}
	return nil
}

// AccountByName implements account.Store.
func (s *Store) AccountByName(ctx context.Context, tenant chat.TenantID, name account.Forms) (account.Account, error) {
	return record.Account(s.db.QueryRowContext(ctx, `SELECT `+record.AccountColumns+` FROM auth_accounts
		WHERE tenant = ?1 AND (username_key = ?2 OR folded = ?3) ORDER BY username_key = ?2 DESC LIMIT 1`, tenant, name.Key, name.Folded))
}

// AccountByID implements account.Store.
func (s *Store) AccountByID(ctx context.Context, tenant chat.TenantID, id chat.UserID) (account.Account, error) {
	return record.Account(s.db.QueryRowContext(ctx, `SELECT `+record.AccountColumns+` FROM auth_accounts WHERE tenant = ?1 AND id = ?2`, tenant, id))
}

// Accounts implements account.Store.
func (s *Store) Accounts(ctx context.Context, tenant chat.TenantID, part account.Forms, after string, limit int) ([]account.Account, error) {
	const query = `SELECT ` + record.AccountColumns + ` FROM auth_accounts
		WHERE tenant = ?1 AND (instr(username_key, ?2) > 0 OR instr(folded, ?3) > 0) AND username_key > ?4
		ORDER BY username_key LIMIT ?5`
	rows, err := s.db.QueryContext(ctx, query, tenant, part.Key, part.Folded, after, limit)
	if err != nil {
		return nil, fmt.Errorf("listing accounts: %w", err)
	}
	return collect(rows, record.Account)
}

// ChangeAccount implements account.Store.
func (s *Store) ChangeAccount(ctx context.Context, tenant chat.TenantID, id chat.UserID, now time.Time, change func(*account.Account, int) (account.Effect, error)) (a account.Account, events []lobby.Event, _ error) {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		at, err := head(ctx, tx)
		if err != nil {
			return err
		}
		a, err = record.Account(tx.QueryRowContext(ctx, `SELECT `+record.AccountColumns+` FROM auth_accounts WHERE tenant = ?1 AND id = ?2`, tenant, id))
		if err != nil {
			return err
		}
		var others int
		if err = tx.QueryRowContext(ctx, `SELECT count(*) FROM auth_accounts WHERE tenant = ?1 AND staff AND NOT disabled AND id <> ?2`, tenant, id).Scan(&others); err != nil {
			return fmt.Errorf("counting administrators: %w", err)
		}
		effect, err := change(&a, others)
		if err != nil {
			return err
		}
		if effect.Revoke {
			a.Generation++
			event := record.Raised(a, at+1, now)
			if err = write(ctx, tx, event); err != nil {
				return err
			}
			events = []lobby.Event{event}
		}
		return apply(ctx, tx, a, effect)
	})
	if err != nil {
		return account.Account{}, nil, err
	}
	return a, events, nil
}

func apply(ctx context.Context, tx *sql.Tx, a account.Account, effect account.Effect) error {
	if effect.End {
		if _, err := tx.ExecContext(ctx, `DELETE FROM auth_sessions WHERE tenant = ?1 AND user_id = ?2`, a.Tenant, a.ID); err != nil {
			return fmt.Errorf("ending sessions: %w", err)
		}
	}
	if effect.Erase {
		if _, err := tx.ExecContext(ctx, `DELETE FROM auth_accounts WHERE tenant = ?1 AND id = ?2`, a.Tenant, a.ID); err != nil {
			return fmt.Errorf("erasing an account: %w", err)
		}
		return nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE auth_accounts SET password = ?3, staff = ?4, disabled = ?5, generation = ?6 WHERE tenant = ?1 AND id = ?2`,
		a.Tenant, a.ID, a.Hash, a.Staff, a.Disabled, a.Generation); err != nil {
		return fmt.Errorf("changing an account: %w", err)
	}
	return nil
}

// SetHash implements account.Store.
func (s *Store) SetHash(ctx context.Context, tenant chat.TenantID, id chat.UserID, old, fresh string) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE auth_accounts SET password = ?4 WHERE tenant = ?1 AND id = ?2 AND password = ?3`, tenant, id, old, fresh); err != nil {
		return fmt.Errorf("renewing a hash: %w", err)
	}
	return nil
}

const anyAdmin = `SELECT EXISTS (SELECT 1 FROM auth_accounts WHERE tenant = ?1 AND staff AND NOT disabled)`

// HasAdmin implements account.FirstStore.
func (s *Store) HasAdmin(ctx context.Context, tenant chat.TenantID) (has bool, err error) {
	if err := s.db.QueryRowContext(ctx, anyAdmin, tenant).Scan(&has); err != nil {
		return false, fmt.Errorf("looking for administrators: %w", err)
	}
	return has, nil
}

// CreateFirstAdmin implements account.FirstStore.
func (s *Store) CreateFirstAdmin(ctx context.Context, a account.Account) (made bool, _ error) {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		var has bool
		if err := tx.QueryRowContext(ctx, anyAdmin, a.Tenant).Scan(&has); err != nil {
			return fmt.Errorf("looking for administrators: %w", err)
		}
		if has {
			return nil
		}
		made = true
		_, err := tx.ExecContext(ctx, insertAccount, record.AccountRow(a)...)
		return taken(err)
	})
	return made && err == nil, err
}
