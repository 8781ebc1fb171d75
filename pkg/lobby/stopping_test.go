package lobby_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/parley-chat/parley/pkg/lobby"
)

// silentServer accepts connections and never answers on them, as Redis while a read blocks.
func silentServer(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		_, _ = io.Copy(io.Discard, theirs)
		_ = theirs.Close()
	}()
	return ours, nil
}

// A follower stops at once, also while a read blocks: three of them made Ctrl-C wait for three seconds.
func TestAFollowerStopsWhileAReadBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := redis.NewClient(&redis.Options{
			Addr: "127.0.0.1:6379", Dialer: silentServer, MaxRetries: -1, ReadTimeout: time.Hour, DisableIdentity: true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		follower := lobby.NewFollower(&ledger{name: "log"}, client, "rooms", 0, &diary{}, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- follower.Run(ctx, func() {}) }()
		synctest.Wait()
		stopped := time.Now()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if took := time.Since(stopped); took != 0 {
			t.Errorf("stopping took %s", took)
		}
		_ = client.Close()
	})
}
