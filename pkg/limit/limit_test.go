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

func TestABucketOfBytes(t *testing.T) {
	refused := prometheus.NewCounter(prometheus.CounterOpts{Name: "refused_total", Help: "Help."})
	l := New(Rate{PerSecond: 0.001, Burst: 100}, refused)
	for i, c := range []struct {
		n    int
		want chat.Code
	}{{60, ""}, {60, chat.CodeRateLimited}, {40, ""}, {0, ""}, {1, chat.CodeRateLimited}} {
		if err := l.AllowN("a", c.n); chat.CodeOf(err) != c.want {
			t.Error(i, err)
		}
	}
	if err := l.AllowN("b", 1000); err != nil {
		t.Error("more than a whole bucket can never be had:", err)
	}
}

func TestOpenCountsWhatIsOpen(t *testing.T) {
	refused := prometheus.NewCounter(prometheus.CounterOpts{Name: "refused_total", Help: "Help."})
	o := NewOpen(2, refused)
	for i, want := range []chat.Code{"", "", chat.CodeRateLimited} {
		if err := o.Take("a"); chat.CodeOf(err) != want {
			t.Error(i, err)
		}
	}
	if err := o.Take("b"); err != nil {
		t.Error("another key:", err)
	}
	o.Release("a")
	if err := o.Take("a"); err != nil {
		t.Error("one was released:", err)
	}
	for _, key := range []string{"a", "a", "b"} {
		o.Release(key)
	}
	if got := testutil.ToFloat64(refused); got != 1 || len(o.keys) != 0 {
		t.Error("refused", got, "still remembered:", o.keys)
	}
	for range 100 {
		if err := NewOpen(0, refused).Take("a"); err != nil {
			t.Fatal("no limit:", err)
		}
	}
}
