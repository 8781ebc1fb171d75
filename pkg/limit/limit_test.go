package limit

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-chat/parley/pkg/chat"
)

func TestLimiterCountsEachKeyForItself(t *testing.T) {
	refused := prometheus.NewCounter(prometheus.CounterOpts{Name: "refused_total", Help: "Help."})
	l := New(Rate{PerSecond: 0.001, Burst: 2}, refused)
	for i, want := range []chat.Code{"", "", chat.CodeRateLimited, chat.CodeRateLimited} {
		if err := l.Allow("a"); chat.CodeOf(err) != want {
			t.Error(i, err)
		}
	}
	if got := testutil.ToFloat64(refused); got != 2 {
		t.Error("counted", got)
	}
	if err := l.Allow("b"); err != nil {
		t.Error(err)
	}
	if err := New(Rate{}, refused).Allow("a"); err != nil {
		t.Error("no limit:", err)
	}
}
