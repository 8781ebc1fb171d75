// Package redistest runs a test on every Redis that Parley runs on: the embedded one and a real one, one that
// sentinels look after, and a cluster.
package redistest

import (
	"os"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/stream"
)

// Each runs test on each of them, all at once. The real one is that which PARLEY_TEST_REDIS names, which other
// tests use too: keep to keys of your own there.
func Each(t *testing.T, test func(t *testing.T, client redis.UniversalClient)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T) redis.UniversalClient{
		"embedded": func(t *testing.T) redis.UniversalClient { t.Helper(); return Embedded(t) },
		"real":     Real,
		"sentinel": func(t *testing.T) redis.UniversalClient { t.Helper(); return Open(t, StartSentinel(t).URL) },
		"cluster":  func(t *testing.T) redis.UniversalClient { t.Helper(); return Open(t, StartCluster(t, 0).URL) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// Embedded returns a client of an embedded Redis of its own. Its keys expire, as those of a real one do.
func Embedded(tb testing.TB) redis.UniversalClient {
	tb.Helper()
	server := miniredis.RunT(tb)
	server.ClockTTL(true)
	return Open(tb, "redis://"+server.Addr())
}

// Real returns a client of the real Redis.
func Real(t *testing.T) redis.UniversalClient {
	t.Helper()
	url := os.Getenv("PARLEY_TEST_REDIS")
	if url == "" {
		t.Fatal("PARLEY_TEST_REDIS is not set; run the tests by make test")
	}
	return Open(t, url)
}

// Open returns a client for url, which answers.
func Open(tb testing.TB, url string) redis.UniversalClient {
	tb.Helper()
	client, err := stream.Open(url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Close() })
	if err := client.Ping(tb.Context()).Err(); err != nil {
		tb.Fatal(err)
	}
	return client
}
