package stream_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-chat/parley/pkg/redistest"
	"github.com/parley-chat/parley/pkg/stream"
)

// A Redis that refuses the credential looked like one that is idle.
func TestARefusedCredentialIsToldAtOnce(t *testing.T) {
	address, sentinels := redistest.Start(t, "pass"), redistest.StartSentinel(t)
	for what, url := range map[string]string{
		"a wrong password": "redis://:p%41ss@" + address, "no password": "redis://" + address, "a wrong user": "redis://u:pass@" + address,
		"a sentinel's": strings.Replace(sentinels.URL, "sentinel_password="+sentinels.Password, "sentinel_password=wrong", 1),
	} {
		client, err := stream.Open(url)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var log bytes.Buffer
		reg := prometheus.NewRegistry()
		told := ""
		watch := stream.NewWatch(client, reg, slog.New(slog.NewTextHandler(&log, nil)), func(warning string) { told = warning; stop() })
		if err := watch.Run(ctx, func() {}); err != nil {
			t.Error(err)
		}
		if !strings.Contains(told, "PARLEY_REDIS_PASSWORD") || strings.Count(log.String(), "redis refuses the credential") != 1 || strings.Contains(log.String(), "wrong\n") {
			t.Errorf("%s: %q; %s", what, told, log.String())
		}
		if err := testutil.GatherAndCompare(reg, strings.NewReader("# HELP parley_redis_credential_refused 1 if Redis, or a sentinel, has refused the password or the user at the last ping that it answered.\n"+
			"# TYPE parley_redis_credential_refused gauge\nparley_redis_credential_refused 1\n"), "parley_redis_credential_refused"); err != nil {
			t.Error(what, err)
		}
		stop()
		_ = client.Close()
	}
}

func TestACredentialThatWasMendedIsToldAgain(t *testing.T) {
	address := redistest.Start(t, "old")
	client, err := stream.Open("redis://:new@" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var log bytes.Buffer
	watch := stream.NewWatch(client, prometheus.NewRegistry(), slog.New(slog.NewTextHandler(&log, nil)), func(warning string) {
		if warning != "" {
			if err := redistest.Open(t, "redis://:old@"+address).ConfigSet(ctx, "requirepass", "new").Err(); err != nil {
				t.Error(err)
			}
			return
		}
		stop()
	})
	if err := watch.Run(ctx, func() {}); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "redis is reachable again") {
		t.Error(log.String())
	}
}
