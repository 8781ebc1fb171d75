//go:build linux

package floor

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

// store keeps messages and carries them: one table with the two promises that a chat can't do without, one
// order in a room and no message twice; one stream a room; one bell for all.
type store struct {
	pool  *pgxpool.Pool
	redis *redis.Client
	bell  *redis.PubSub
}

// The names in Redis.
const (
	bell   = "floor:bell"
	prefix = "floor:room:"
)

func openStore(ctx context.Context, at Stores) (*store, error) {
	options, err := redis.ParseURL(at.Redis)
	if err != nil {
		return nil, fmt.Errorf("the floor's Redis: %w", err)
	}
	pool, err := pgxpool.New(ctx, at.Postgres)
	if err != nil {
		return nil, fmt.Errorf("the floor's database: %w", err)
	}
	s := &store{pool: pool, redis: redis.NewClient(options)}
	s.bell = s.redis.Subscribe(ctx, bell)
	_, err = pool.Exec(ctx, `CREATE TABLE IF NOT EXISTS floor (room text, seq bigint, nonce text, event bytea,
		PRIMARY KEY (room, seq), UNIQUE (room, nonce)); TRUNCATE floor`)
	if err != nil {
		s.close()
		return nil, fmt.Errorf("make the floor's table: %w", err)
	}
	return s, nil
}

func (s *store) close() {
	_ = s.bell.Close()
	_ = s.redis.Close()
	s.pool.Close()
}

// add returns once the message is committed, and on its way.
func (s *store) add(ctx context.Context, room string, seq int64, nonce string, event []byte) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO floor (room, seq, nonce, event) VALUES ($1, $2, $3, $4)`, room, seq, nonce, event)
	if err != nil {
		return fmt.Errorf("keep a message: %w", err)
	}
	_, err = s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.XAdd(ctx, &redis.XAddArgs{Stream: prefix + room, MaxLen: 1000, Approx: true, ID: strconv.FormatInt(seq, 10) + "-0", Values: []any{"e", event}})
		p.Publish(ctx, bell, room)
		return nil
	})
	if err != nil {
		return fmt.Errorf("carry a message: %w", err)
	}
	return nil
}

// follow reads the stream of each room whose bell rings, from where it was, until ctx ends.
func (s *store) follow(ctx context.Context, deliver func(room string, event []byte)) {
	defer context.AfterFunc(ctx, func() { _ = s.bell.Close() })()
	last := map[string]string{}
	for rung := range s.bell.Channel() {
		room := rung.Payload
		from, known := last[room]
		if !known {
			from = "0"
		}
		streams, err := s.redis.XRead(ctx, &redis.XReadArgs{Streams: []string{prefix + room, from}, Block: -1}).Result()
		if err != nil {
			continue // read already with the one before, or the end
		}
		for _, entry := range streams[0].Messages {
			last[room] = entry.ID
			if event, ok := entry.Values["e"].(string); ok {
				deliver(room, []byte(event))
			}
		}
	}
}
