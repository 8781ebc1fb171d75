package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/record"
)

// fillAtOnce bounds one filling, so that it holds the write lock shortly.
const fillAtOnce = 1000

// Resembling implements account.NameStore.
func (s *Store) Resembling(ctx context.Context, tenant chat.TenantID, skeletons []string) (bool, error) {
	for _, skeleton := range skeletons {
		var found bool
		if err := s.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM auth_accounts WHERE tenant = ?1 AND skeleton = ?2)`, tenant, skeleton).Scan(&found); err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// FillNames implements account.NameStore.
func (s *Store) FillNames(ctx context.Context, rule int, nameOf func(string) account.Name) (filled int, _ error) {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT tenant, id, username FROM auth_accounts WHERE name_rule < ?1 ORDER BY created_at, id LIMIT ?2`, rule, fillAtOnce)
		if err != nil {
			return fmt.Errorf("looking for names of an older rule: %w", err)
		}
		list, err := collect(rows, record.Named)
		if err != nil {
			return err
		}
		for _, a := range list {
			name := nameOf(a.Username)
			if _, err := tx.ExecContext(ctx, `UPDATE auth_accounts SET name_rule = ?3,
				folded = CASE WHEN NOT EXISTS (SELECT 1 FROM auth_accounts o WHERE o.tenant = ?1 AND o.folded = ?4 AND o.id <> ?2) THEN ?4 END,
				skeleton = CASE WHEN NOT EXISTS (SELECT 1 FROM auth_accounts o WHERE o.tenant = ?1 AND o.skeleton = ?5 AND o.id <> ?2) THEN ?5 END
				WHERE tenant = ?1 AND id = ?2`, a.Tenant, a.ID, rule, record.OrNull(name.Folded), record.OrNull(name.Skeleton)); err != nil {
				return fmt.Errorf("filling a name in: %w", err)
			}
		}
		filled = len(list)
		return nil
	})
	return filled, err
}
