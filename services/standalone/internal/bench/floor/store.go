//go:build linux

package floor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// store keeps messages: one table, one statement, and the two promises that a chat can't do without, one
// order in a room and no message twice.
type store struct{ pool *pgxpool.Pool }

func openStore(ctx context.Context, url string) (*store, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open the floor's database: %w", err)
	}
	_, err = pool.Exec(ctx, `CREATE TABLE IF NOT EXISTS floor (room text, seq bigint, nonce text, body text,
		PRIMARY KEY (room, seq), UNIQUE (room, nonce)); TRUNCATE floor`)
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("make the floor's table: %w", err)
	}
	return &store{pool}, nil
}

// add returns once the message is committed.
func (s *store) add(ctx context.Context, room string, seq int64, nonce, body string) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO floor (room, seq, nonce, body) VALUES ($1, $2, $3, $4)`, room, seq, nonce, body)
	if err != nil {
		return fmt.Errorf("keep a message: %w", err)
	}
	return nil
}
