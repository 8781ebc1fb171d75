package stream

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Signal is something that rides on a room's channel.
type Signal struct {
	Room    Room
	Kind    byte
	Payload string
}

// Send publishes signals, at most once.
func Send(ctx context.Context, client redis.UniversalClient, signals []Signal) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	pipe := client.Pipeline()
	for _, s := range signals {
		Queue(ctx, client, pipe, s)
	}
	_, err := pipe.Exec(ctx)
	return err
}

// Queue publishes a signal as part of pipe, which is client's.
func Queue(ctx context.Context, client redis.UniversalClient, pipe redis.Pipeliner, s Signal) {
	notify(ctx, client, pipe, s.Room, string(s.Kind)+s.Payload)
}

// notify publishes on a room's channel: on a cluster on the node that owns it, and not on all nodes.
func notify(ctx context.Context, client redis.UniversalClient, pipe redis.Pipeliner, room Room, payload string) {
	if isCluster(client) {
		pipe.SPublish(ctx, room.Key("bell"), payload)
	} else {
		pipe.Publish(ctx, room.Key("bell"), payload)
	}
}
