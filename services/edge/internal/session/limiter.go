package session

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/limit"
)

// Rates are how often a user may do things, all of the user's sockets on one edge together.
type Rates struct {
	Sends  limit.Rate // sends, edits and deletes
	Joins  limit.Rate
	Frames limit.Rate // of any kind; who goes on beyond it is flooding and cut
}

// Limiter holds the users' budgets, each for as long as one of its sockets is open, and then until it
// has recovered: reconnecting gains nothing.
type Limiter struct {
	rates Rates
	mu    sync.Mutex
	users map[chat.UserID]*budget
	swept int // how many the last sweep left
}

type budget struct {
	user                 chat.UserID
	sockets              int
	sends, joins, frames *rate.Limiter
}

// NewLimiter makes a limiter.
func NewLimiter(rates Rates) *Limiter {
	return &Limiter{rates: rates, users: map[chat.UserID]*budget{}}
}

func (l *Limiter) take(user chat.UserID) *budget {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.users[user]
	if len(l.users) > 2*l.swept+sweepFrom {
		l.sweep()
	}
	if b == nil {
		b = &budget{user: user, sends: bucket(l.rates.Sends), joins: bucket(l.rates.Joins), frames: bucket(l.rates.Frames)}
		l.users[user] = b
	}
	b.sockets++
	return b
}

func (l *Limiter) giveBack(b *budget) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.sockets--; b.recovered() {
		delete(l.users, b.user)
	}
}

// sweepFrom is how many budgets there must be more than after the last sweep for another one.
const sweepFrom = 1000

// sweep forgets the budgets that have recovered.
func (l *Limiter) sweep() {
	for user, b := range l.users {
		if b.recovered() {
			delete(l.users, user)
		}
	}
	l.swept = len(l.users)
}

// recovered says that nobody uses the budget and that it is as a new one.
func (b *budget) recovered() bool {
	full := func(r *rate.Limiter) bool { return r.Tokens() >= float64(r.Burst()) }
	return b.sockets == 0 && full(b.sends) && full(b.joins) && full(b.frames)
}

func bucket(l limit.Rate) *rate.Limiter {
	if l.PerSecond == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(l.PerSecond), l.Burst)
}

// allow takes one from the bucket of a limit, or says when to come again: CodeRateLimited.
func (s *Session) allow(b *rate.Limiter, limited string) error {
	reservation := b.Reserve()
	wait := reservation.Delay()
	if wait == 0 {
		return nil
	}
	reservation.Cancel()
	s.Metrics.Refused(limited).Inc()
	return limit.TooMany(max(wait, time.Millisecond))
}
