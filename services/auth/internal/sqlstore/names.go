package sqlstore

import (
	"context"
	"fmt"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/services/auth/internal/account"
)

// fillAtOnce bounds one filling, so that it holds its locks shortly.
const fillAtOnce = 1000

// Resembling implements account.NameStore.
func (s *Store) Resembling(ctx context.Context, tenant chat.TenantID, skeletons []string) (bool, error) {
	for _, skeleton := range skeletons { // two at most
		var found bool
		if err := s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM auth_accounts WHERE tenant = $1 AND skeleton = $2)`, tenant, skeleton).Scan(&found); err != nil {
			return false, fmt.Errorf("looking for a name that looks alike: %w", err)
		}
		if found {
			return true, nil
		}
	}
	return false, nil
}

// FillNames implements account.NameStore. It locks the lobby, so that pods which start together take
// turns. An account that is made meanwhile with a name of these fails it: the next try sees that one.
func (s *Store) FillNames(ctx context.Context, rule int, nameOf func(string) account.Name) (filled int, _ error) {
	err := s.db.InTx(ctx, func(tx database.Querier) error {
		if _, _, err := s.feed.Lock(ctx, tx); err != nil {
			return err
		}
		list, err := database.Collect(ctx, tx, readUsername, `SELECT tenant, id, username FROM auth_accounts WHERE name_rule < $1 ORDER BY created_at, id LIMIT $2`, rule, fillAtOnce)
		if err != nil {
			return fmt.Errorf("looking for names of an older rule: %w", err)
		}
		var statements []database.Statement
		for _, a := range list {
			name := nameOf(a.Username)
			statements = append(statements, statement(`UPDATE auth_accounts SET name_rule = $3,
				folded = CASE WHEN NOT EXISTS (SELECT 1 FROM auth_accounts o WHERE o.tenant = $1 AND o.folded = $4 AND o.id <> $2) THEN $4 END,
				skeleton = CASE WHEN NOT EXISTS (SELECT 1 FROM auth_accounts o WHERE o.tenant = $1 AND o.skeleton = $5 AND o.id <> $2) THEN $5 END
				WHERE tenant = $1 AND id = $2`, a.Tenant, a.ID, rule, orNull(name.Folded), orNull(name.Skeleton)))
		}
		filled = len(list)
		return batch(ctx, tx, "filling names in", statements...)
	})
	if database.IsDuplicate(err) {
		return 1, nil
	}
	return filled, err
}
