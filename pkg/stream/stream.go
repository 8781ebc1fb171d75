// Package stream carries rooms' logs over Redis: the rooms service appends each committed entry to
// its room's stream and publishes a notification; edges are notified and read the stream. PostgreSQL
// accepts, Redis carries: everything here may be lost at any time, and is then filled from the log.
//
// A room belongs to one of a fixed number of partitions by hash, and the partition is the hash tag of
// its keys, so that on Redis Cluster rooms spread over the nodes and one command may name many rooms
// of a partition. There an edge receives notifications on a connection to each node, since a notification is published on the node
// that owns its room's partition and on no other.
package stream

import (
	"fmt"
	"hash/fnv"

	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
)

// Partitions is fixed for good: keys carry it.
const Partitions = 64

// Room names a room's log in Redis.
type Room struct {
	Tenant chat.TenantID
	Log    chat.LogID
}

// Key returns the Redis key or channel of the room for what: "room" is its stream, "bell" its
// channel of notifications, "members" its presence registry.
func (r Room) Key(what string) string {
	return fmt.Sprintf("parley:%s:%s:%s:%s", hashTag(r.partition()), r.Tenant, what, r.Log)
}

func (r Room) partition() int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.Log))
	return int(h.Sum32() % Partitions)
}

// hashTag is what the keys of a partition have in common, by which Redis Cluster places them.
func hashTag(partition int) string { return fmt.Sprintf("{p%d}", partition) }

// isCluster says whether client is of a Redis Cluster, where a command may name keys of one partition only.
func isCluster(client redis.UniversalClient) bool {
	_, yes := client.(*redis.ClusterClient)
	return yes
}
