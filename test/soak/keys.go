//go:build linux

package soak

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Keyspace is what Redis holds.
type Keyspace struct {
	Keys map[string]int `json:"keys"` // by kind
	// Lasting are keys that never expire, and Longest is how long the others have at most.
	Lasting int           `json:"without_expiry"`
	Longest time.Duration `json:"longest_expiry_ns"`
	Memory  int64         `json:"memory_bytes"`
}

// The kinds of keys of DESIGN.md. Streams of rooms and lobbies expire a day after their last entry.
const (
	kindRooms   = "room streams"
	kindLobby   = "lobby streams"
	kindMembers = "presence"
	kindEdges   = "leases of edges"
	kindOther   = "other"
)

// String is a word for people.
func (k Keyspace) String() string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(k.Keys)) {
		parts = append(parts, fmt.Sprintf("%d %s", k.Keys[kind], kind))
	}
	return strings.Join(parts, ", ")
}

func kindOf(key string) string {
	parts := strings.Split(key, ":")
	switch {
	case len(parts) == 5 && parts[0] == "parley" && parts[3] == "room":
		return kindRooms
	case len(parts) == 5 && parts[0] == "parley" && parts[3] == "members":
		return kindMembers
	case len(parts) == 4 && parts[0] == "parley" && parts[1] == "lobby":
		return kindLobby
	case len(parts) == 3 && parts[0] == "parley" && parts[1] == "edge":
		return kindEdges
	}
	return kindOther
}

// scanPage is how many keys are looked at in one round trip.
const scanPage = 500

// readKeys looks at every key once.
func readKeys(ctx context.Context, client redis.UniversalClient) (k Keyspace, err error) {
	k.Keys = map[string]int{}
	for cursor := uint64(0); ; {
		var keys []string
		if keys, cursor, err = client.Scan(ctx, cursor, "*", scanPage).Result(); err != nil {
			return k, fmt.Errorf("list keys: %w", err)
		}
		pipe := client.Pipeline()
		lives := make([]*redis.DurationCmd, len(keys))
		for i, key := range keys {
			lives[i] = pipe.TTL(ctx, key)
		}
		if len(keys) > 0 {
			if _, err = pipe.Exec(ctx); err != nil {
				return k, fmt.Errorf("look at keys: %w", err)
			}
		}
		for i, key := range keys {
			switch life := lives[i].Val(); {
			case life == -2: // gone meanwhile
				continue
			case life < 0:
				k.Lasting++
			default:
				k.Longest = max(k.Longest, life)
			}
			k.Keys[kindOf(key)]++
		}
		if cursor == 0 {
			break
		}
	}
	info, err := client.Info(ctx, "memory").Result()
	if err != nil {
		return k, fmt.Errorf("memory of Redis: %w", err)
	}
	_, rest, _ := strings.Cut(info, "used_memory:")
	if _, err = fmt.Sscan(rest, &k.Memory); err != nil {
		return k, fmt.Errorf("memory of Redis: %w", err)
	}
	return k, nil
}
