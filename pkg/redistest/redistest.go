// Package redistest runs a test on every kind of Redis that Parley supports: embedded, a single server, Sentinel and
// Cluster.
package redistest

import (
	"os"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/stream"
)

// Each runs test on every kind in parallel. The single server is the one of PARLEY_TEST_REDIS. Other tests use it
// too, so a test must use keys of its own.
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

// Embedded returns a client of a new embedded Redis. Its keys expire as in a real one.
func Embedded(tb testing.TB) redis.UniversalClient {
	tb.Helper()
	server := miniredis.RunT(tb)
	server.ClockTTL(true)
	return Open(tb, "redis://"+server.Addr())
}

// Real returns a client of the Redis of PARLEY_TEST_REDIS.
func Real(t *testing.T) redis.UniversalClient {
	t.Helper()
	url := os.Getenv("PARLEY_TEST_REDIS")
	if url == "" {
		t.Fatal("PARLEY_TEST_REDIS is not set; run the tests by make test")
	}
	return Open(t, url)
}

// Open returns a client for url, after a ping.
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
