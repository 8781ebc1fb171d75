package sqlstore

import (
	"context"
	"fmt"

	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/services/auth/internal/keys"
)

const selectKeys = `SELECT ` + keyColumns + ` FROM auth_signing_keys WHERE tenant = '*' ORDER BY created_at, id`

// SigningKeys implements keys.Store.
func (s *Store) SigningKeys(ctx context.Context) ([]keys.Key, error) {
	return collectKeys(ctx, s.db)
}

func collectKeys(ctx context.Context, q database.Querier) ([]keys.Key, error) {
	list, err := database.Collect(ctx, q, readKey, selectKeys)
	if err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	return list, nil
}

// ChangeSigningKeys implements keys.Store. The table is locked whole, since at first there is no row to lock.
func (s *Store) ChangeSigningKeys(ctx context.Context, change func([]keys.Key) ([]keys.Key, error)) (list []keys.Key, _ error) {
	err := s.db.InTx(ctx, func(tx database.Querier) (err error) {
		if tx.Dialect().Postgres() {
			if _, err = tx.Exec(ctx, `LOCK TABLE auth_signing_keys IN SHARE ROW EXCLUSIVE MODE`); err != nil {
				return fmt.Errorf("locking keys: %w", err)
			}
		}
		if list, err = collectKeys(ctx, tx); err != nil {
			return err
		}
		if list, err = change(list); err != nil {
			return err
		}
		statements := []database.Statement{statement(`DELETE FROM auth_signing_keys WHERE tenant = '*'`)}
		for _, k := range list {
			statements = append(statements, statement(`INSERT INTO auth_signing_keys (tenant, id, seed, created_at, activated_at, retires_at) VALUES ('*', $1, $2, $3, $4, $5)`,
				k.ID, k.Private.Seed(), millis(k.Created), orNullTime(k.Activated), orNullTime(k.Retires)))
		}
		return batch(ctx, tx, "writing keys", statements...)
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
