// Package ratelimit holds what users, addresses and rooms may do on an edge, all their sockets together.
package ratelimit

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/pkg/metric"
)

// Rates are how often a user, an address or a room may do things, all sockets on one edge together.
type Rates struct {
	Sends  limit.Rate // sends, edits and deletes of a user
	Joins  limit.Rate
	Frames limit.Rate // frames and fragments of any kind; who goes on beyond it is flooding and cut

	EarlyFrames                 limit.Rate // frames of an address before a token is shown
	AddressSends, RoomSends     limit.Rate
	AddressBytes, RoomBytes     limit.Rate // of the bodies sent
	UserSockets, AddressSockets int        // open at once; 0 is no limit
}

// Limiter holds the budgets of users, addresses and rooms.
type Limiter struct {
	users, addresses, rooms budgets
	refused                 *prometheus.CounterVec
}

// New makes a limiter.
func New(r Rates, registry prometheus.Registerer) *Limiter {
	return &Limiter{
		refused: metric.Counters(registry, "parley_edge_refused_total", "What was refused because somebody did too much of it, by the limit.", "limit",
			Connects, Polls, joins, sends, frames, addressSends, addressBytes, roomSends, roomBytes, earlyFrames,
			userSockets, addressSockets, UserStreams, AddressStreams, UserPolls, AddressPolls),
		users: newBudgets(r.UserSockets, func(b *budget) { b.sends, b.joins, b.frames = bucket(r.Sends), bucket(r.Joins), bucket(r.Frames) }),
		addresses: newBudgets(r.AddressSockets, func(b *budget) {
			b.sends, b.bytes, b.frames = bucket(r.AddressSends), bucket(r.AddressBytes), bucket(r.EarlyFrames)
		}),
		rooms: newBudgets(0, func(b *budget) { b.sends, b.bytes = bucket(r.RoomSends), bucket(r.RoomBytes) }),
	}
}

// The limits that refusals are counted by.
const (
	Connects       = "connects"
	Polls          = "polls"
	UserStreams    = "open_streams"
	AddressStreams = "open_streams_address"
	UserPolls      = "open_polls"
	AddressPolls   = "open_polls_address"

	joins          = "joins"
	sends          = "sends"
	frames         = "frames"
	addressSends   = "sends_address"
	addressBytes   = "bytes_address"
	roomSends      = "sends_room"
	roomBytes      = "bytes_room"
	earlyFrames    = "frames_early"
	userSockets    = "open_sockets"
	addressSockets = "open_sockets_address"
)

// Refused counts what one of the limits refused.
func (l *Limiter) Refused(limit string) prometheus.Counter { return l.refused.WithLabelValues(limit) }

// MayOpen refuses one more socket of a user (nil: not known yet) or an address that has too many:
// CodeRateLimited. It keeps no place: Open and SignIn do.
func (l *Limiter) MayOpen(address string, user *chat.User) error {
	limited := ""
	switch {
	case l.addresses.full(address):
		limited = addressSockets
	case user != nil && l.users.full(string(user.ID)):
		limited = userSockets
	default:
		return nil
	}
	l.Refused(limited).Inc()
	return limit.TooManyOpen()
}

// budgets holds budgets, each for as long as somebody uses it, and then until it has recovered:
// reconnecting gains nothing.
type budgets struct {
	most int // uses of one at once; 0 is no limit
	fill func(*budget)

	mu    sync.Mutex
	of    map[string]*budget
	swept int // how many the last sweep left
}

// budget is what one user, address or room may do. A bucket that is nil is no limit.
type budget struct {
	key                         string
	uses                        int // open sockets
	sends, joins, frames, bytes *rate.Limiter
}

func newBudgets(most int, fill func(*budget)) budgets {
	return budgets{most: most, fill: fill, of: map[string]*budget{}}
}

// take hands out the budget of a key until giveBack, nil where too many use it.
func (l *budgets) take(key string) *budget {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.of) > 2*l.swept+sweepFrom {
		l.sweep() // before the key is looked up: it may forget this very budget
	}
	b := l.of[key]
	if b == nil {
		b = &budget{key: key}
		l.fill(b)
		l.of[key] = b
	}
	if l.most > 0 && b.uses >= l.most {
		return nil
	}
	b.uses++
	return b
}

// full says whether take would return nil.
func (l *budgets) full(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.of[key]
	return b != nil && l.most > 0 && b.uses >= l.most
}

func (l *budgets) giveBack(b *budget) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.uses--; b.recovered() {
		delete(l.of, b.key)
	}
}

// sweepFrom is how many budgets there must be more than after the last sweep for another one.
const sweepFrom = 1000

// sweep forgets the budgets that have recovered.
func (l *budgets) sweep() {
	for key, b := range l.of {
		if b.recovered() {
			delete(l.of, key)
		}
	}
	l.swept = len(l.of)
}

// recovered says that nobody uses the budget and that it is as a new one.
func (b *budget) recovered() bool {
	full := func(r *rate.Limiter) bool { return r == nil || r.Tokens() >= float64(r.Burst()) }
	return b.uses == 0 && full(b.sends) && full(b.joins) && full(b.frames) && full(b.bytes)
}

func bucket(l limit.Rate) *rate.Limiter {
	if l.PerSecond == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(l.PerSecond), l.Burst)
}
