package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/parley-chat/parley/services/auth/internal/keys"
	"github.com/parley-chat/parley/services/auth/internal/record"
)

const selectKeys = `SELECT ` + record.KeyColumns + ` FROM auth_signing_keys WHERE tenant = '*' ORDER BY created_at, id`

// SigningKeys implements keys.Store.
func (s *Store) SigningKeys(ctx context.Context) ([]keys.Key, error) {
	return collect(ctx, s.db, readKey, selectKeys)
}

func readKey(row pgx.CollectableRow) (keys.Key, error) { return record.Key(row) }

// ChangeSigningKeys implements keys.Store. The table is locked whole, since at first there is no row to lock.
func (s *Store) ChangeSigningKeys(ctx context.Context, change func([]keys.Key) ([]keys.Key, error)) (list []keys.Key, _ error) {
	err := s.db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `LOCK TABLE auth_signing_keys IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return fmt.Errorf("locking keys: %w", err)
		}
		rows, err := tx.Query(ctx, selectKeys)
		if err != nil {
			return fmt.Errorf("reading keys: %w", err)
		}
		if list, err = pgx.CollectRows(rows, readKey); err != nil {
			return fmt.Errorf("reading keys: %w", err)
		}
		if list, err = change(list); err != nil {
			return err
		}
		batch := &pgx.Batch{}
		batch.Queue(`DELETE FROM auth_signing_keys WHERE tenant = '*'`)
		for _, k := range list {
			batch.Queue(`INSERT INTO auth_signing_keys (tenant, id, seed, created_at, activated_at, retires_at) VALUES ('*', $1, $2, $3, $4, $5)`,
				k.ID, k.Private.Seed(), record.Millis(k.Created), record.Nullable(k.Activated), record.Nullable(k.Retires))
		}
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("writing keys: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
