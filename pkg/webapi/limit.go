package webapi

import (
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/env"
)

// Limit is how often one key may do a thing. PerSecond 0 means as often as it likes.
type Limit struct {
	PerSecond float64
	Burst     int
}

// LimitFrom reads PARLEY_LIMIT_<name> and PARLEY_LIMIT_<name>_BURST; what says what is limited.
func LimitFrom(r *env.Reader, name string, fallback Limit, what string) Limit {
	return Limit{
		PerSecond: r.Float("PARLEY_LIMIT_"+name, fallback.PerSecond, what+" per second; 0 is no limit."),
		Burst:     r.Int("PARLEY_LIMIT_"+name+"_BURST", fallback.Burst, 1, what+" at once, before the limit per second counts."),
	}
}

// limiterKeys bounds what a Limiter remembers. Who is forgotten starts anew with a full burst, which
// is no way around: it takes that many other keys in between.
const limiterKeys = 1 << 16

// Limiter holds a token bucket per key, of the keys seen last.
type Limiter struct {
	limit   Limit
	buckets *lru.Cache[string, *rate.Limiter]
}

// NewLimiter makes a limiter for l.
func NewLimiter(l Limit) *Limiter {
	buckets, err := lru.New[string, *rate.Limiter](limiterKeys)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Limiter{limit: l, buckets: buckets}
}

// Allow takes one from the key's bucket, or says when to come again: CodeRateLimited.
func (l *Limiter) Allow(key string) error {
	if l.limit.PerSecond == 0 {
		return nil
	}
	bucket, ok := l.buckets.Get(key)
	if !ok {
		fresh := rate.NewLimiter(rate.Limit(l.limit.PerSecond), l.limit.Burst)
		if previous, found, _ := l.buckets.PeekOrAdd(key, fresh); found {
			bucket = previous
		} else {
			bucket = fresh
		}
	}
	reservation := bucket.Reserve()
	if wait := reservation.Delay(); wait > 0 {
		reservation.Cancel()
		return TooMany(wait)
	}
	return nil
}

// TooMany says when to come again.
func TooMany(wait time.Duration) error {
	return &chat.Error{Code: chat.CodeRateLimited, Message: "too many of these, slow down", RetryAfter: max(wait, time.Millisecond)}
}

// IPKey is the part of an address that one subscriber has for itself: an IPv4 address, an IPv6 /64.
func IPKey(ip netip.Addr) string {
	if ip.Is6() {
		if prefix, err := ip.Prefix(64); err == nil {
			return prefix.Masked().String()
		}
	}
	return ip.String()
}
