package account

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/parley-chat/parley/pkg/chat"
)

// Throttle slows down whoever guesses passwords, and never locks an owner out. It counts bad tries
// three ways, each with a number of free ones and then a delay that doubles with every further one:
//
//   - by account and network together, strictly: this is what stops a plain guesser;
//   - by account alone, loosely and with a short delay, against many networks guessing one account;
//   - by network alone, loosely, against one network guessing many accounts.
//
// A try that comes during a delay is refused without being counted, so the delay cannot be stretched
// by hammering. A network in which the account's owner is known is held to the first count only:
// whatever others do there or elsewhere, the owner gets in. Known is whoever signed up, signed in or
// renewed a session there. Names are counted whether or not they are accounts, so that refusals tell nothing.
//
// Counts live in memory, per pod: some pods more mean some guesses more, in proportion. A pod that has
// just started knows nobody yet, and learns of those who are at work by the renewals of their sessions.
type Throttle struct {
	free int
	now  func() time.Time

	mu       sync.Mutex
	pairs    *lru.Cache[string, *tries]
	accounts *lru.Cache[string, *tries]
	networks *lru.Cache[string, *tries]
	known    *lru.Cache[string, time.Time] // pairs whose owner was there, and when
}

const (
	throttleKeys = 1 << 16 // remembered of each kind
	firstDelay   = time.Second
	longDelay    = 30 * time.Second
	accountDelay = 5 * time.Second     // the most that an account as a whole is delayed
	forgetTries  = 15 * time.Minute    // without a bad try
	forgetKnown  = 30 * 24 * time.Hour // without a good one
	parallel     = 16                  // tries of a pair at once, while none was bad too many
)

type tries struct {
	bad     int
	pending int
	last    time.Time
	until   time.Time
}

// NewThrottle makes a throttle that leaves free bad tries to each account and network together, and
// many times that to either alone. 0 switches it off.
func NewThrottle(free int, now func() time.Time) *Throttle {
	return &Throttle{
		free: free, now: now,
		pairs: newCache[*tries](), accounts: newCache[*tries](), networks: newCache[*tries](), known: newCache[time.Time](),
	}
}

func newCache[V any]() *lru.Cache[string, V] {
	cache, err := lru.New[string, V](throttleKeys)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return cache
}

// Try is one try under way. Exactly one of its methods is called.
type Try struct {
	throttle         *Throttle
	account, network string
}

// Begin admits a try, or says when to come again: chat.CodeRateLimited.
func (t *Throttle) Begin(account, network string) (*Try, error) {
	if t.free == 0 {
		return &Try{}, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	pair := t.of(t.pairs, account+"\x00"+network, now)
	wait := pair.until.Sub(now)
	if at := parallel; pair.pending > 0 {
		if pair.bad >= t.free {
			at = 1
		}
		if pair.pending >= at {
			wait = max(wait, firstDelay)
		}
	}
	if good, ok := t.known.Get(account + "\x00" + network); !ok || now.Sub(good) > forgetKnown {
		wait = max(wait, t.of(t.accounts, account, now).until.Sub(now), t.of(t.networks, network, now).until.Sub(now))
	}
	if wait > 0 {
		return nil, &chat.Error{Code: chat.CodeRateLimited, Message: "too many wrong passwords: wait, then try again", RetryAfter: wait}
	}
	pair.pending++
	return &Try{throttle: t, account: account, network: network}, nil
}

// Know tells that the account's owner is at work in the network.
func (t *Throttle) Know(account, network string) {
	if t.free > 0 {
		t.known.Add(account+"\x00"+network, t.now())
	}
}

// Succeeded tells that the password was right.
func (y *Try) Succeeded() {
	y.end(func(t *Throttle, pair *tries, now time.Time) {
		pair.bad = 0
		t.known.Add(y.account+"\x00"+y.network, now)
	})
}

// Failed tells that the password was wrong.
func (y *Try) Failed() {
	y.end(func(t *Throttle, pair *tries, now time.Time) {
		pair.failed(now, t.free, longDelay)
		t.of(t.accounts, y.account, now).failed(now, 20*t.free, accountDelay)
		t.of(t.networks, y.network, now).failed(now, 10*t.free, longDelay)
	})
}

// Undecided tells that nobody looked at the password.
func (y *Try) Undecided() { y.end(func(*Throttle, *tries, time.Time) {}) }

func (y *Try) end(outcome func(t *Throttle, pair *tries, now time.Time)) {
	t := y.throttle
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	pair := t.of(t.pairs, y.account+"\x00"+y.network, now)
	pair.pending = max(0, pair.pending-1)
	outcome(t, pair, now)
}

// of returns the count of key, begun anew when it is old.
func (t *Throttle) of(counts *lru.Cache[string, *tries], key string, now time.Time) *tries {
	c, ok := counts.Get(key)
	if !ok {
		c = &tries{}
		counts.Add(key, c)
	}
	if now.Sub(c.last) > forgetTries {
		c.bad = 0
	}
	return c
}

func (c *tries) failed(now time.Time, free int, longest time.Duration) {
	c.bad++
	c.last = now
	if over := c.bad - free; over >= 0 {
		c.until = now.Add(min(firstDelay<<min(over, 10), longest))
	}
}
