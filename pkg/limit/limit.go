// Package limit bounds how often somebody may do a thing, by token buckets, and how many somebody may have
// open at once.
package limit

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/env"
)

// Rate is how often one key may do a thing. PerSecond 0 means as often as it likes.
type Rate struct {
	PerSecond float64
	Burst     int
}

// From reads PARLEY_LIMIT_<name> and PARLEY_LIMIT_<name>_BURST; what says what is limited.
func From(r *env.Reader, name string, fallback Rate, what string) Rate {
	return Rate{
		PerSecond: r.Float("PARLEY_LIMIT_"+name, fallback.PerSecond, what+" per second; 0 is no limit."),
		Burst:     r.Int("PARLEY_LIMIT_"+name+"_BURST", fallback.Burst, 1, what+" at once, before the limit per second counts."),
	}
}

// ReadsFrom reads PARLEY_LIMIT_READS, which auth and rooms have in common, each counting for itself.
func ReadsFrom(r *env.Reader) Rate {
	return From(r, "READS", Rate{PerSecond: 20, Burst: 200}, "Lists, single rooms, pages of history and the like that one user reads")
}

// limiterKeys bounds what a Limiter remembers. Who is forgotten starts anew with a full burst, which
// is no way around: it takes that many other keys in between.
const limiterKeys = 1 << 16

// Limiter holds a token bucket per key, of the keys seen last.
type Limiter struct {
	rate    Rate
	refused prometheus.Counter
	buckets *lru.Cache[string, *rate.Limiter]
}

// New makes a limiter of that rate, which counts what it refuses.
func New(r Rate, refused prometheus.Counter) *Limiter {
	buckets, err := lru.New[string, *rate.Limiter](limiterKeys)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Limiter{rate: r, refused: refused, buckets: buckets}
}

// Allow takes one from the key's bucket, or says when to come again: CodeRateLimited.
func (l *Limiter) Allow(key string) error { return l.AllowN(key, 1) }

// AllowN takes n from the key's bucket. What is more than a whole bucket takes a whole bucket.
func (l *Limiter) AllowN(key string, n int) error {
	if l.rate.PerSecond == 0 || n == 0 {
		return nil
	}
	bucket, ok := l.buckets.Get(key)
	if !ok {
		fresh := rate.NewLimiter(rate.Limit(l.rate.PerSecond), l.rate.Burst)
		if previous, found, _ := l.buckets.PeekOrAdd(key, fresh); found {
			bucket = previous
		} else {
			bucket = fresh
		}
	}
	reservation := bucket.ReserveN(time.Now(), min(n, l.rate.Burst))
	if wait := reservation.Delay(); wait > 0 {
		reservation.Cancel()
		l.refused.Inc()
		return TooMany(wait)
	}
	return nil
}

// TooMany says when to come again.
func TooMany(wait time.Duration) error {
	return &chat.Error{Code: chat.CodeRateLimited, Message: "too many of these, slow down", RetryAfter: max(wait, time.Millisecond)}
}
