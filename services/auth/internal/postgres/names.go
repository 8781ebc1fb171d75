package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/record"
)

// fillAtOnce bounds one filling, so that it holds its locks shortly.
const fillAtOnce = 1000

// Resembling implements account.NameStore.
func (s *Store) Resembling(ctx context.Context, tenant chat.TenantID, skeletons []string) (found bool, _ error) {
	if err := s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM auth_accounts WHERE tenant = $1 AND skeleton = ANY($2::text[]))`, tenant, skeletons).Scan(&found); err != nil {
		return false, fmt.Errorf("looking for a name that looks alike: %w", err)
	}
	return found, nil
}

// FillNames implements account.NameStore. It locks the lobby, so that pods which start together take
// turns. An account that is made meanwhile with a name of these fails it: the next try sees that one.
func (s *Store) FillNames(ctx context.Context, rule int, nameOf func(string) account.Name) (filled int, _ error) {
	err := s.db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := lockLobby(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT tenant, id, username FROM auth_accounts WHERE name_rule < $1 ORDER BY created_at, id LIMIT $2`, rule, fillAtOnce)
		if err != nil {
			return fmt.Errorf("looking for names of an older rule: %w", err)
		}
		list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (account.Account, error) { return record.Named(row) })
		if err != nil {
			return fmt.Errorf("looking for names of an older rule: %w", err)
		}
		batch := &pgx.Batch{}
		for _, a := range list {
			name := nameOf(a.Username)
			batch.Queue(`UPDATE auth_accounts SET name_rule = $3,
				folded = CASE WHEN NOT EXISTS (SELECT 1 FROM auth_accounts o WHERE o.tenant = $1 AND o.folded = $4 AND o.id <> $2) THEN $4 END,
				skeleton = CASE WHEN NOT EXISTS (SELECT 1 FROM auth_accounts o WHERE o.tenant = $1 AND o.skeleton = $5 AND o.id <> $2) THEN $5 END
				WHERE tenant = $1 AND id = $2`, a.Tenant, a.ID, rule, record.OrNull(name.Folded), record.OrNull(name.Skeleton))
		}
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("filling names in: %w", err)
		}
		filled = len(list)
		return nil
	})
	if isDuplicate(err) {
		return 1, nil
	}
	return filled, err
}
