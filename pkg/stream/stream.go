// Package stream carries rooms' logs over Redis: the rooms service appends each committed entry to
// its room's stream and rings the room's bell; edges hear the bell and read the stream. PostgreSQL
// accepts, Redis carries: everything here may be lost at any time, and is then filled from the log.
//
// A room belongs to one of a fixed number of partitions by hash, and the partition is the hash tag of
// its keys, so that on Redis Cluster rooms spread over the nodes and one command may name many rooms
// of a partition.
package stream

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/env"
)

// Partitions is fixed for good: keys carry it.
const Partitions = 64

// Room names a room's log in Redis.
type Room struct {
	Tenant chat.TenantID
	Log    chat.LogID
}

// Key returns the Redis key or channel of the room for what: "room" is its stream, "bell" its bell's
// channel, "members" its presence registry.
func (r Room) Key(what string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.Log))
	return fmt.Sprintf("parley:{p%d}:%s:%s:%s", h.Sum32()%Partitions, r.Tenant, what, r.Log)
}

// Open makes a client for a redis:// or rediss:// URL. It does not connect: services start in any
// order. Its time limits are short, since nothing waits for Redis that could go on without it.
func Open(url string) (*redis.Client, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("the Redis URL is malformed") //nolint:err113,perfsprint // go-redis's own message may repeat the password
	}
	options.DialTimeout = time.Second
	options.ReadTimeout = 2 * time.Second
	options.WriteTimeout = 2 * time.Second
	options.MaxRetries = -1 // whoever calls knows better when to try again
	options.DialerRetries = 1
	options.ContextTimeoutEnabled = true
	options.DisableIdentity = true
	redis.SetLogger(silent{}) // it would write each failed dial to stderr; we say once that Redis is away
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewClient(options), nil
}

// silent is a logger of go-redis's, which has one for the whole process.
type silent struct{}

// Printf implements go-redis's logger.
func (silent) Printf(context.Context, string, ...any) {}

// URLFrom reads PARLEY_REDIS.
func URLFrom(r *env.Reader) string {
	url := r.RequiredSecret("PARLEY_REDIS", "The Redis that carries entries between services, such as `redis://user:password@host:6379/0`; `rediss://` for TLS.")
	if url != "" {
		if _, err := redis.ParseURL(url); err != nil {
			r.Mistake("PARLEY_REDIS is no redis:// or rediss:// URL")
		}
	}
	return url
}
