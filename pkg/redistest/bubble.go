package redistest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Bubble is an embedded Redis for a test in a testing/synctest bubble: its connections are pipes, and its keys
// expire by the bubble's clock.
type Bubble struct {
	redis.UniversalClient

	server *miniredis.Miniredis
}

// InBubble starts one for the time of the test. It is called within the bubble.
func InBubble(t *testing.T) *Bubble {
	t.Helper()
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true)
	client := redis.NewClient(&redis.Options{
		Dialer:     func(context.Context, string, string) (net.Conn, error) { return server.Dial() },
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
		DialTimeout: time.Second, ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second, // as stream.Open has them
		PoolSize:                 100, // go-redis shares the timers with which it waits for a connection, and bubbles can't
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() {
		_ = client.Close()
		server.Close()
	})
	return &Bubble{client, server}
}

// Fail has every command refused until it is called with false.
func (b *Bubble) Fail(away bool) {
	if away {
		b.server.SetError("ERR away")
	} else {
		b.server.SetError("")
	}
}
