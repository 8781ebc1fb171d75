package limit

import (
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
)

func TestLimiterCountsEachKeyForItself(t *testing.T) {
	l := New(Rate{PerSecond: 0.001, Burst: 2})
	for i, want := range []chat.Code{"", "", chat.CodeRateLimited, chat.CodeRateLimited} {
		if err := l.Allow("a"); chat.CodeOf(err) != want {
			t.Error(i, err)
		}
	}
	if err := l.Allow("b"); err != nil {
		t.Error(err)
	}
	if err := New(Rate{}).Allow("a"); err != nil {
		t.Error("no limit:", err)
	}
}
