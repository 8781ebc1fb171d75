package session

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/webapi"
)

// Rates are how often a user may do things, all of the user's sockets on one edge together.
type Rates struct {
	Sends  webapi.Limit // sends, edits and deletes
	Joins  webapi.Limit
	Frames webapi.Limit // of any kind; who goes on beyond it is flooding and cut
}

// Limiter holds the users' budgets, each for as long as one of its sockets is open.
type Limiter struct {
	rates Rates
	mu    sync.Mutex
	users map[chat.UserID]*budget
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
	if b.sockets--; b.sockets == 0 {
		delete(l.users, b.user)
	}
}

func bucket(l webapi.Limit) *rate.Limiter {
	if l.PerSecond == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(l.PerSecond), l.Burst)
}

// allow takes one from the bucket, or says when to come again: CodeRateLimited.
func allow(b *rate.Limiter) error {
	reservation := b.Reserve()
	wait := reservation.Delay()
	if wait == 0 {
		return nil
	}
	reservation.Cancel()
	return webapi.TooMany(max(wait, time.Millisecond))
}
