package session

import (
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/pkg/wire"
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
type Limiter struct{ users, addresses, rooms budgets }

// NewLimiter makes a limiter.
func NewLimiter(r Rates) *Limiter {
	return &Limiter{
		users: newBudgets(r.UserSockets, func(b *budget) { b.sends, b.joins, b.frames = bucket(r.Sends), bucket(r.Joins), bucket(r.Frames) }),
		addresses: newBudgets(r.AddressSockets, func(b *budget) {
			b.sends, b.bytes, b.frames = bucket(r.AddressSends), bucket(r.AddressBytes), bucket(r.EarlyFrames)
		}),
		rooms: newBudgets(0, func(b *budget) { b.sends, b.bytes = bucket(r.RoomSends), bucket(r.RoomBytes) }),
	}
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

// MayOpen refuses one more socket of a user (nil: not known yet) or an address that has too many:
// CodeRateLimited. It keeps no place: New and Greet do.
func (s *Shared) MayOpen(address string, user *chat.User) error {
	limited := ""
	switch {
	case s.Limiter.addresses.full(address):
		limited = limitAddressSockets
	case user != nil && s.Limiter.users.full(string(user.ID)):
		limited = limitUserSockets
	default:
		return nil
	}
	s.Metrics.Refused(limited).Inc()
	return limit.TooManyOpen()
}

// Counted counts a frame or a fragment of the client, whatever its kind. False says that it is one too
// many: the session is being closed as flooding. Its reader calls it.
func (s *Session) Counted() (counted bool) {
	limited := limitEarlyFrames
	switch {
	case s.budget != nil:
		limited = limitFrames
		counted = s.budget.frames == nil || s.budget.frames.Allow()
	case s.early < maxEarly && s.address != nil:
		s.early++
		counted = s.address.frames == nil || s.address.frames.Allow()
	}
	if !counted {
		s.Metrics.Refused(limited).Inc()
		s.Close(wire.CloseFlooding)
	}
	return counted
}

// allowSend takes a send of that many bytes to a room from the budgets of the user, of the address and of
// the room, or says when to come again: CodeRateLimited.
func (s *Session) allowSend(room chat.RoomID, bytes int) error {
	of := s.Limiter.rooms.take(strconv.FormatInt(int64(room), 10))
	defer s.Limiter.rooms.giveBack(of)
	for _, of := range []struct {
		bucket  *rate.Limiter
		n       int
		limited string
	}{
		{s.budget.sends, 1, limitSends},
		{s.address.sends, 1, limitAddressSends},
		{s.address.bytes, bytes, limitAddressBytes},
		{of.sends, 1, limitRoomSends},
		{of.bytes, bytes, limitRoomBytes},
	} {
		if err := s.allow(of.bucket, of.n, of.limited); err != nil {
			return err
		}
	}
	return nil
}

// allow takes n from the bucket of a limit, or says when to come again: CodeRateLimited.
func (s *Session) allow(b *rate.Limiter, n int, limited string) error {
	if b == nil || n == 0 {
		return nil
	}
	reservation := b.ReserveN(time.Now(), min(n, b.Burst()))
	wait := reservation.Delay()
	if wait == 0 {
		return nil
	}
	reservation.Cancel()
	s.Metrics.Refused(limited).Inc()
	if frames := s.budget.frames; frames != nil && !frames.AllowN(time.Now(), min(refusedFrames, frames.Burst())) {
		s.Metrics.Refused(limitFrames).Inc()
		s.Close(wire.CloseFlooding)
	}
	return limit.TooMany(max(wait, time.Millisecond))
}

// refusedFrames is how many frames a refused command counts as: a client that does not wait as it is told, and
// goes on sending what is refused, is soon cut as flooding.
const refusedFrames = 10
