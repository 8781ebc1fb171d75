package standalone

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Whoever could connect could end the process, by a command of a huge length, before it asks for a password.
func TestTheEmbeddedRedisIsOnNoPort(t *testing.T) {
	t.Parallel()
	r, err := startRedis()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx, func() {}) }()
	if address := r.server.Server().Addr(); address != nil {
		t.Error("it listens on", address)
	}
	// All is written before the first answer is read.
	answers, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for range 1000 {
			p.Set(ctx, "k", strings.Repeat("x", 1000), 0)
		}
		return nil
	})
	if err != nil || len(answers) != 1000 {
		t.Error(len(answers), err)
	}
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
