package account

import (
	"fmt"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
)

type throttled struct {
	*Throttle

	now time.Time
}

func newThrottled(free int) *throttled {
	w := &throttled{now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	w.Throttle = NewThrottle(free, func() time.Time { return w.now })
	return w
}

// try is one whole try; it returns how long it has to wait, 0 if it was admitted.
func (w *throttled) try(account, network string, right bool) time.Duration {
	y, err := w.Begin(account, network)
	if err != nil {
		if chat.CodeOf(err) != chat.CodeRateLimited {
			panic(err)
		}
		return chat.Public(err).RetryAfter
	}
	if right {
		y.Succeeded()
	} else {
		y.Failed()
	}
	return 0
}

func TestDelaysGrowAndEnd(t *testing.T) {
	w := newThrottled(5)
	for i := range 5 {
		if wait := w.try("ada", "home", false); wait != 0 {
			t.Fatalf("try %d must wait %s", i, wait)
		}
	}
	for _, want := range []time.Duration{1e9, 2e9, 4e9, 8e9, 16e9, 30e9, 30e9} {
		if wait := w.try("ada", "home", true); wait != want {
			t.Fatalf("must wait %s, want %s", wait, want)
		}
		w.now = w.now.Add(want)
		if wait := w.try("ada", "home", false); wait != 0 {
			t.Fatalf("after waiting must wait %s", wait)
		}
	}
	w.now = w.now.Add(forgetTries + time.Second)
	for i := range 5 {
		if wait := w.try("ada", "home", false); wait != 0 {
			t.Fatalf("anew: try %d must wait %s", i, wait)
		}
	}
}

func TestHammeringDoesNotLockTheOwnerOut(t *testing.T) {
	w := newThrottled(5)
	for range 1000 {
		w.try("ada", "evil", false)
	}
	if wait := w.try("ada", "home", true); wait != 0 {
		t.Errorf("the owner elsewhere must wait %s", wait)
	}
	wait := w.try("ada", "evil", true)
	if wait == 0 || wait > 2*time.Second {
		t.Errorf("the owner beside the attacker must wait %s", wait)
	}
	w.now = w.now.Add(wait)
	if wait := w.try("ada", "evil", true); wait != 0 {
		t.Errorf("and then again %s", wait)
	}
	if wait := w.try("ada", "evil", false); wait != 0 {
		t.Errorf("a right password must clear the count, must wait %s", wait)
	}
}

// Many networks against one account: they are slowed down, who signed in from home before is not.
func TestAGuessedAccountIsOpenFromHome(t *testing.T) {
	w := newThrottled(5)
	w.try("ada", "home", true)
	admitted := 0
	for i := range 1000 {
		if w.try("ada", fmt.Sprint("net", i), false) == 0 {
			admitted++
		}
	}
	if admitted != 20*5 {
		t.Errorf("%d guesses were admitted", admitted)
	}
	if wait := w.try("ada", "elsewhere", true); wait == 0 || wait > accountDelay {
		t.Errorf("a stranger's network must wait %s", wait)
	}
	if wait := w.try("ada", "home", true); wait != 0 {
		t.Errorf("home must wait %s", wait)
	}
	w.now = w.now.Add(forgetKnown + time.Second)
	for i := range 101 {
		w.try("ada", fmt.Sprint("net", i), false)
	}
	if wait := w.try("ada", "home", true); wait == 0 {
		t.Error("home is known for ever")
	}
}

// One network against many accounts: it is slowed down, whoever signed in there before is not.
func TestASprayingNetworkIsSlowedDown(t *testing.T) {
	w := newThrottled(5)
	w.try("bob", "office", true)
	admitted := 0
	for i := range 1000 {
		if w.try(fmt.Sprint("user", i), "office", false) == 0 {
			admitted++
		}
	}
	if admitted != 10*5 {
		t.Errorf("%d guesses were admitted", admitted)
	}
	if wait := w.try("bob", "office", true); wait != 0 {
		t.Errorf("a colleague must wait %s", wait)
	}
	if wait := w.try("ada", "home", true); wait != 0 {
		t.Errorf("others must wait %s", wait)
	}
}

// Tries at once are counted before they are decided, else a thousand in parallel were all free.
func TestParallelTriesAreBounded(t *testing.T) {
	w := newThrottled(5)
	begin := func() (under []*Try) {
		for range 1000 {
			if y, err := w.Begin("ada", "evil"); err == nil {
				under = append(under, y)
			}
		}
		return under
	}
	first := begin()
	if len(first) != parallel {
		t.Errorf("%d at once", len(first))
	}
	for _, y := range first {
		y.Failed()
	}
	w.now = w.now.Add(longDelay)
	second := begin()
	if len(second) != 1 {
		t.Errorf("%d at once after too many bad ones", len(second))
	}
	second[0].Undecided()
	if third := begin(); len(third) != 1 {
		t.Errorf("%d at once after an undecided one", len(third))
	}
}

func TestZeroIsNoThrottle(t *testing.T) {
	w := newThrottled(0)
	for range 1000 {
		if wait := w.try("ada", "home", false); wait != 0 {
			t.Fatal(wait)
		}
	}
}
