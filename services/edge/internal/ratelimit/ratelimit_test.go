package ratelimit

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/limit"
)

// A user comes back whose budget has recovered, and it is this very moment that budgets are swept: two
// sockets of one user have one budget, and ending one leaves the other's.
func TestASweptBudgetIsNotHandedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &New(Rates{Sends: limit.Rate{PerSecond: 1, Burst: 5}}, prometheus.NewRegistry()).users
		first := l.take("ada")
		first.sends.Allow()
		l.giveBack(first) // kept: it has not recovered
		<-time.After(time.Minute)
		for i := range sweepFrom {
			l.take(fmt.Sprint(i))
		}
		one, other := l.take("ada"), l.take("ada")
		if one != other || l.of["ada"] != one {
			t.Fatal("two sockets of one user have a budget each")
		}
		l.giveBack(one)
		if l.of["ada"] != other || other.uses != 1 {
			t.Error("the budget of an open socket is gone")
		}
	})
}
