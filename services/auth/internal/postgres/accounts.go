package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/record"
)

const insertAccount = `INSERT INTO auth_accounts (` + record.NewAccount + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`

// CreateAccount implements account.Store.
func (s *Store) CreateAccount(ctx context.Context, a account.Account) error {
	_, err := s.db.Exec(ctx, insertAccount, record.AccountRow(a)...)
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
	return record.Account(s.db.QueryRow(ctx, `SELECT `+record.AccountColumns+` FROM auth_accounts
		WHERE tenant = $1 AND (username_key = $2 OR folded = $3) ORDER BY username_key = $2 DESC LIMIT 1`, tenant, name.Key, name.Folded))
}

// AccountByID implements account.Store.
func (s *Store) AccountByID(ctx context.Context, tenant chat.TenantID, id chat.UserID) (account.Account, error) {
	return record.Account(s.db.QueryRow(ctx, `SELECT `+record.AccountColumns+` FROM auth_accounts WHERE tenant = $1 AND id = $2`, tenant, id))
}

// Accounts implements account.Store.
func (s *Store) Accounts(ctx context.Context, tenant chat.TenantID, part account.Forms, after string, limit int) ([]account.Account, error) {
	return collect(ctx, s.db, func(row pgx.CollectableRow) (account.Account, error) { return record.Account(row) },
		`SELECT `+record.AccountColumns+` FROM auth_accounts
		WHERE tenant = $1 AND (strpos(username_key, $2) > 0 OR strpos(folded, $3) > 0) AND username_key > $4
		ORDER BY username_key LIMIT $5`, tenant, part.Key, part.Folded, after, limit)
}

// ChangeAccount implements account.Store. It locks the lobby in any case: that is what makes changes
// come one after the other.
func (s *Store) ChangeAccount(ctx context.Context, tenant chat.TenantID, id chat.UserID, now time.Time, change func(*account.Account, int) (account.Effect, error)) (a account.Account, events []lobby.Event, _ error) {
	err := s.db.inTx(ctx, func(tx pgx.Tx) error {
		head, err := lockLobby(ctx, tx)
		if err != nil {
			return err
		}
		a, err = record.Account(tx.QueryRow(ctx, `SELECT `+record.AccountColumns+` FROM auth_accounts WHERE tenant = $1 AND id = $2 FOR UPDATE`, tenant, id))
		if err != nil {
			return err
		}
		var others int
		if err = tx.QueryRow(ctx, `SELECT count(*) FROM auth_accounts WHERE tenant = $1 AND staff AND NOT disabled AND id <> $2`, tenant, id).Scan(&others); err != nil {
			return fmt.Errorf("counting administrators: %w", err)
		}
		effect, err := change(&a, others)
		if err != nil {
			return err
		}
		if effect.Revoke {
			a.Generation++
			event := record.Raised(a, head+1, now)
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

func apply(ctx context.Context, tx pgx.Tx, a account.Account, effect account.Effect) error {
	if effect.End {
		if _, err := tx.Exec(ctx, `DELETE FROM auth_sessions WHERE tenant = $1 AND user_id = $2`, a.Tenant, a.ID); err != nil {
			return fmt.Errorf("ending sessions: %w", err)
		}
	}
	if effect.Erase {
		if _, err := tx.Exec(ctx, `DELETE FROM auth_accounts WHERE tenant = $1 AND id = $2`, a.Tenant, a.ID); err != nil {
			return fmt.Errorf("erasing an account: %w", err)
		}
		return nil
	}
	if _, err := tx.Exec(ctx, `UPDATE auth_accounts SET password = $3, staff = $4, disabled = $5, generation = $6 WHERE tenant = $1 AND id = $2`,
		a.Tenant, a.ID, a.Hash, a.Staff, a.Disabled, a.Generation); err != nil {
		return fmt.Errorf("changing an account: %w", err)
	}
	return nil
}

// SetHash implements account.Store.
func (s *Store) SetHash(ctx context.Context, tenant chat.TenantID, id chat.UserID, old, fresh string) error {
	if _, err := s.db.Exec(ctx, `UPDATE auth_accounts SET password = $4 WHERE tenant = $1 AND id = $2 AND password = $3`, tenant, id, old, fresh); err != nil {
		return fmt.Errorf("renewing a hash: %w", err)
	}
	return nil
}

const anyAdmin = `SELECT EXISTS (SELECT 1 FROM auth_accounts WHERE tenant = $1 AND staff AND NOT disabled)`

// HasAdmin implements account.FirstStore.
func (s *Store) HasAdmin(ctx context.Context, tenant chat.TenantID) (has bool, err error) {
	if err := s.db.QueryRow(ctx, anyAdmin, tenant).Scan(&has); err != nil {
		return false, fmt.Errorf("looking for administrators: %w", err)
	}
	return has, nil
}

// CreateFirstAdmin implements account.FirstStore.
func (s *Store) CreateFirstAdmin(ctx context.Context, a account.Account) (made bool, _ error) {
	err := s.db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := lockLobby(ctx, tx); err != nil {
			return err
		}
		var has bool
		if err := tx.QueryRow(ctx, anyAdmin, a.Tenant).Scan(&has); err != nil {
			return fmt.Errorf("looking for administrators: %w", err)
		}
		if has {
			return nil
		}
		made = true
		_, err := tx.Exec(ctx, insertAccount, record.AccountRow(a)...)
		return taken(err)
	})
	return made && err == nil, err
}
