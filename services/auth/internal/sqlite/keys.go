package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/parley-chat/parley/services/auth/internal/keys"
	"github.com/parley-chat/parley/services/auth/internal/record"
)

const selectKeys = `SELECT ` + record.KeyColumns + ` FROM auth_signing_keys WHERE tenant = '*' ORDER BY created_at, id`

// SigningKeys implements keys.Store.
func (s *Store) SigningKeys(ctx context.Context) ([]keys.Key, error) {
	rows, err := s.db.QueryContext(ctx, selectKeys)
	if err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	return collect(rows, record.Key)
}

// ChangeSigningKeys implements keys.Store.
func (s *Store) ChangeSigningKeys(ctx context.Context, change func([]keys.Key) ([]keys.Key, error)) (list []keys.Key, _ error) {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, selectKeys)
		if err != nil {
			return fmt.Errorf("reading keys: %w", err)
		}
		if list, err = collect(rows, record.Key); err != nil {
			return err
		}
		if list, err = change(list); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM auth_signing_keys WHERE tenant = '*'`); err != nil {
			return fmt.Errorf("writing keys: %w", err)
		}
		for _, k := range list {
			if _, err := tx.ExecContext(ctx, `INSERT INTO auth_signing_keys (tenant, id, seed, created_at, activated_at, retires_at) VALUES ('*', ?1, ?2, ?3, ?4, ?5)`,
				k.ID, k.Private.Seed(), record.Millis(k.Created), record.Nullable(k.Activated), record.Nullable(k.Retires)); err != nil {
				return fmt.Errorf("writing keys: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
