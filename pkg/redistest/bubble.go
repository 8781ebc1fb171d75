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

// Bubble is an embedded Redis for a test in a testing/synctest bubble. Its connections are pipes, and its keys
// expire by the bubble's clock.
type Bubble struct {
	redis.UniversalClient

	server *miniredis.Miniredis
}

// InBubble starts a Bubble that ends with the test. Call it inside the bubble.
func InBubble(t *testing.T) *Bubble {
	t.Helper()
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true)
	client := redis.NewClient(&redis.Options{
		Dialer:     func(context.Context, string, string) (net.Conn, error) { return server.Dial() },
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
		DialTimeout: time.Second, ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second, // the values of stream.Open
		PoolSize:                 100, // never exhausted: go-redis would wait with timers that it shares, which a bubble can't
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() {
		_ = client.Close()
		server.Close()
	})
	return &Bubble{client, server}
}

// Fail makes every command fail until it is called with false.
func (b *Bubble) Fail(fail bool) {
	if fail {
		b.server.SetError("ERR refused by the test")
	} else {
		b.server.SetError("")
	}
}
