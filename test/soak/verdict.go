//go:build linux

package soak

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/parley-chat/parley/test/harness"
)

// Rules of flatness: after the warm-up, the median of the last fifth is at most a tenth and a constant
// above that of the reference, which follows the warm-up; and the straight line through all that comes
// after the warm-up climbs no more than that either. Constants are for what is bounded and fills for
// longer than the warm-up (remembered tokens, revocations and users: an hour), and for the noise of
// small numbers.
const (
	warmUp         = 10 * time.Minute
	reference      = 10 * time.Minute
	tolerance      = 1.10
	memorySlack    = 6 << 20
	hashMemory     = 19 << 20 // of one password hash, which goes with a garbage collection to come
	liveSlack      = 2 << 20
	redisSlack     = 4 << 20
	goroutineSlack = 20
	postgresSlack  = 4
)

// windows are where warm-up and reference end and the last fifth begins, in seconds. A short run has a
// quarter of it for each.
func windows(lasted time.Duration) (warm, compare, last float64) {
	warm = min(warmUp, lasted/4).Seconds()
	return warm, warm + min(reference, lasted/4).Seconds(), lasted.Seconds() * 4 / 5
}

// flat judges one series.
func flat(what string, samples []Sample, lasted time.Duration, slack float64, value func(Sample) float64, show func(float64) string) harness.Verdict {
	warm, compare, last := windows(lasted)
	var before, after, xs, ys []float64
	for _, s := range samples {
		if s.Seconds < warm || s.Seconds > lasted.Seconds() {
			continue
		}
		xs, ys = append(xs, s.Seconds), append(ys, value(s))
		if s.Seconds <= compare {
			before = append(before, value(s))
		}
		if s.Seconds >= last {
			after = append(after, value(s))
		}
	}
	if len(before) == 0 || len(after) == 0 {
		return harness.Verdict{What: what, Text: "too few samples"}
	}
	first, end := median(before), median(after)
	limit := first*tolerance + slack
	climbed := slope(xs, ys) * (lasted.Seconds() - warm)
	return harness.Verdict{
		What: what, Holds: end <= limit && climbed <= limit-first,
		Text: fmt.Sprintf("%s after the warm-up, %s in the last fifth (limit %s), trend %s per hour", show(first), show(end), show(limit), show(slope(xs, ys)*3600)),
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// slope is that of the straight line of least squares.
func slope(xs, ys []float64) float64 {
	var meanX, meanY, above, below float64
	for i := range xs {
		meanX += xs[i] / float64(len(xs))
		meanY += ys[i] / float64(len(ys))
	}
	for i := range xs {
		above += (xs[i] - meanX) * (ys[i] - meanY)
		below += (xs[i] - meanX) * (xs[i] - meanX)
	}
	if below == 0 {
		return 0
	}
	return above / below
}

// flatness judges everything that is sampled while the load lasts.
func flatness(samples []Sample, lasted time.Duration) (all harness.Verdicts) {
	whole := func(v float64) string { return fmt.Sprint(math.Round(v)) }
	for _, name := range services() {
		slack := float64(memorySlack)
		if name == "auth" {
			slack += hashMemory
		}
		all = append(all,
			flat(name+" live memory", samples, lasted, slack-memorySlack+liveSlack, func(s Sample) float64 { return float64(s.Processes[name].Live) }, mib),
			flat(name+" resident memory", samples, lasted, slack, func(s Sample) float64 { return float64(s.Processes[name].Resident) }, mib),
			flat(name+" goroutines", samples, lasted, goroutineSlack, func(s Sample) float64 { return float64(s.Processes[name].Goroutines) }, whole),
			flat(name+" descriptors", samples, lasted, goroutineSlack, func(s Sample) float64 { return float64(s.Processes[name].Files.all()) }, whole))
	}
	return append(all,
		flat("memory of Redis", samples, lasted, redisSlack, func(s Sample) float64 { return float64(s.Redis.Memory) }, mib),
		flat("connections to PostgreSQL", samples, lasted, postgresSlack, func(s Sample) float64 { return float64(s.Postgres) }, whole))
}

// What is left over at most, once the last one has left.
const (
	leftGoroutines = 8  // kept by pools, beside what there was
	leftBetween    = 3  // calls that happen to meet open one more, which goes on being used
	poolOfRedis    = 24 // go-redis: 10 a processor, and those that listen
	poolOfPostgres = 20
	dayLong        = 24 * time.Hour
)

// inner says whether the service is called by other services, which keep their connections, now to one of
// its pods and now to another.
func inner(name string) bool { return name == "auth" || strings.HasPrefix(name, "rooms-") }

func inside(s Sample) (n int) {
	for name, p := range s.Processes {
		if inner(name) {
			n += p.Files.In
		}
	}
	return n
}

// leftovers judges what there is after the last one left against what there was before the first came.
func leftovers(before, after Sample) (all harness.Verdicts) {
	for _, name := range services() {
		was, is := before.Processes[name], after.Processes[name]
		all = append(all,
			harness.Verdict{
				What: name + " goroutines as before", Holds: is.Goroutines <= was.Goroutines+leftGoroutines,
				Text: fmt.Sprintf("%d before, %d after (limit %d)", was.Goroutines, is.Goroutines, was.Goroutines+leftGoroutines),
			},
			harness.Verdict{
				What: name + " no descriptor left", Holds: (is.Files.In <= was.Files.In || inner(name)) && is.Files.Other <= was.Files.Other && is.Files.Out <= was.Files.Out+leftBetween &&
					is.Files.Redis <= poolOfRedis && is.Files.Postgres <= poolOfPostgres,
				Text: fmt.Sprintf("came in %d before and %d after, to services %d and %d (limit %d), files and listeners %d and %d; pools: Redis %d and %d (of %d), PostgreSQL %d and %d (of %d)",
					was.Files.In, is.Files.In, was.Files.Out, is.Files.Out, was.Files.Out+leftBetween, was.Files.Other, is.Files.Other,
					was.Files.Redis, is.Files.Redis, poolOfRedis, was.Files.Postgres, is.Files.Postgres, poolOfPostgres),
			})
	}
	kept, keeps := inside(before), inside(after)
	all = append(all, harness.Verdict{
		What: "connections between services as before", Holds: keeps <= kept+leftBetween,
		Text: fmt.Sprintf("%d before, %d after (limit %d)", kept, keeps, kept+leftBetween),
	})
	keys := after.Redis
	return append(all,
		harness.Verdict{
			What: "no keys of presence left, nor any but those below", Holds: keys.Keys[kindMembers] == 0 && keys.Keys[kindOther] == 0,
			Text: fmt.Sprintf("%d of presence, %d other", keys.Keys[kindMembers], keys.Keys[kindOther]),
		},
		harness.Verdict{
			What: "one lease for each edge that runs", Holds: keys.Keys[kindEdges] == 3,
			Text: fmt.Sprintf("%d leases, 3 edges", keys.Keys[kindEdges]),
		},
		harness.Verdict{
			What: "every key expires, a day after its last entry at most", Holds: keys.Lasting == 0 && keys.Longest <= dayLong,
			Text: fmt.Sprintf("%d %s, %d %s; %d keys without expiry, the longest lasts %s", keys.Keys[kindRooms], kindRooms, keys.Keys[kindLobby], kindLobby, keys.Lasting, keys.Longest),
		})
}
