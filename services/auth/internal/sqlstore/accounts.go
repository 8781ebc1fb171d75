package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/auth/internal/account"
)

// CreateAccount implements account.Store.
func (s *Store) CreateAccount(ctx context.Context, a account.Account, entries ...audit.Entry) error {
	return s.insertAccount(ctx, s.db, a, entries)
}

func (s *Store) insertAccount(ctx context.Context, q database.Querier, a account.Account, entries []audit.Entry) error {
	statements, err := s.audit.Insert(entries...)
	if err != nil {
		return err
	}
	insert := statement(`INSERT INTO auth_accounts (`+newAccount+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, accountRow(a)...)
	return errTaken(batch(ctx, q, "inserting an account", append(statements, insert)...))
}

// errTaken is the error of an insert of an account.
func errTaken(err error) error {
	if database.IsDuplicate(err) {
		return chat.Errorf(chat.CodeConflict, "that username is taken, or looks like one that is: choose another")
	}
	return err
}

// AccountByName implements account.Store.
func (s *Store) AccountByName(ctx context.Context, tenant chat.TenantID, name account.Forms) (account.Account, error) {
	return readAccount(s.db.QueryRow(ctx, `SELECT `+accountColumns+` FROM auth_accounts
		WHERE tenant = $1 AND (username_key = $2 OR folded = $3) ORDER BY username_key = $2 DESC LIMIT 1`, tenant, name.Key, name.Folded))
}

const accountByID = `SELECT ` + accountColumns + ` FROM auth_accounts WHERE tenant = $1 AND id = $2`

// AccountByID implements account.Store.
func (s *Store) AccountByID(ctx context.Context, tenant chat.TenantID, id chat.UserID) (account.Account, error) {
	return readAccount(s.db.QueryRow(ctx, accountByID, tenant, id))
}

// Accounts implements account.Store.
func (s *Store) Accounts(ctx context.Context, tenant chat.TenantID, part account.Forms, after string, limit int) ([]account.Account, error) {
	position := s.db.Dialect().Position()
	list, err := database.Collect(ctx, s.db, readAccount, `SELECT `+accountColumns+` FROM auth_accounts
		WHERE tenant = $1 AND (`+position+`(username_key, $2) > 0 OR `+position+`(folded, $3) > 0) AND username_key > $4
		ORDER BY username_key LIMIT $5`, tenant, part.Key, part.Folded, after, limit)
	if err != nil {
		return nil, fmt.Errorf("listing accounts: %w", err)
	}
	return list, nil
}

// ChangeAccount implements account.Store. It locks the lobby in any case: that is what makes changes
// come one after the other.
func (s *Store) ChangeAccount(ctx context.Context, tenant chat.TenantID, id chat.UserID, now time.Time, change func(*account.Account, int) (account.Effect, error)) (a account.Account, events []lobby.Event, _ error) {
	err := s.db.InTx(ctx, func(tx database.Querier) error {
		_, head, err := s.feed.Lock(ctx, tx)
		if err != nil {
			return err
		}
		a, err = readAccount(tx.QueryRow(ctx, accountByID+tx.Dialect().Locking("FOR UPDATE"), tenant, id))
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
			events = []lobby.Event{raised(a, head+1, now)}
		}
		statements, err := s.feed.Append(events...)
		if err != nil {
			return err
		}
		entries, err := s.audit.Insert(effect.Audit...)
		if err != nil {
			return err
		}
		return batch(ctx, tx, "changing an account", slices.Concat(statements, entries, changes(a, effect))...)
	})
	if err != nil {
		return account.Account{}, nil, err
	}
	return a, events, nil
}

// changes are the statements that carry an effect out.
func changes(a account.Account, effect account.Effect) (statements []database.Statement) {
	if effect.End {
		statements = append(statements, statement(`DELETE FROM auth_sessions WHERE tenant = $1 AND user_id = $2`, a.Tenant, a.ID))
	}
	if effect.Erase {
		return append(statements, statement(`DELETE FROM auth_accounts WHERE tenant = $1 AND id = $2`, a.Tenant, a.ID))
	}
	return append(statements, statement(`UPDATE auth_accounts SET password = $3, staff = $4, disabled = $5, generation = $6 WHERE tenant = $1 AND id = $2`,
		a.Tenant, a.ID, a.Hash, a.Staff, a.Disabled, a.Generation))
}

// SetHash implements account.Store.
func (s *Store) SetHash(ctx context.Context, tenant chat.TenantID, id chat.UserID, old, fresh string) error {
	if _, err := s.db.Exec(ctx, `UPDATE auth_accounts SET password = $4 WHERE tenant = $1 AND id = $2 AND password = $3`, tenant, id, old, fresh); err != nil {
		return fmt.Errorf("renewing a hash: %w", err)
	}
	return nil
}

// HasAdmin implements account.FirstStore.
func (s *Store) HasAdmin(ctx context.Context, tenant chat.TenantID) (bool, error) {
	return hasAdmin(ctx, s.db, tenant)
}

func hasAdmin(ctx context.Context, q database.Querier, tenant chat.TenantID) (has bool, err error) {
	if err := q.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM auth_accounts WHERE tenant = $1 AND staff AND NOT disabled)`, tenant).Scan(&has); err != nil {
		return false, fmt.Errorf("looking for administrators: %w", err)
	}
	return has, nil
}

// CreateFirstAdmin implements account.FirstStore.
func (s *Store) CreateFirstAdmin(ctx context.Context, a account.Account, entries ...audit.Entry) (created bool, _ error) {
	err := s.db.InTx(ctx, func(tx database.Querier) error {
		if _, _, err := s.feed.Lock(ctx, tx); err != nil {
			return err
		}
		if has, err := hasAdmin(ctx, tx, a.Tenant); err != nil || has {
			return err
		}
		created = true
		return s.insertAccount(ctx, tx, a, entries)
	})
	return created && err == nil, err
}
