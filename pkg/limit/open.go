package limit

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
)

// whenFull is when somebody who has too many open may come again.
const whenFull = 5 * time.Second

// Open counts what each key has open, and bounds it. It remembers only the keys that have something open.
type Open struct {
	most    int
	refused prometheus.Counter

	mu   sync.Mutex
	keys map[string]int
}

// NewOpen lets a key have that many open at once; 0 is no limit. It counts what it refuses.
func NewOpen(most int, refused prometheus.Counter) *Open {
	return &Open{most: most, refused: refused, keys: map[string]int{}}
}

// Take opens one more for a key until Release, or refuses with CodeRateLimited.
func (o *Open) Take(key string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.most > 0 && o.keys[key] >= o.most {
		o.refused.Inc()
		return TooManyOpen()
	}
	o.keys[key]++
	return nil
}

// Release takes back one Take that was not refused.
func (o *Open) Release(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.keys[key]--; o.keys[key] <= 0 {
		delete(o.keys, key)
	}
}

// TooManyOpen is the refusal of one more: CodeRateLimited.
func TooManyOpen() error {
	return &chat.Error{Code: chat.CodeRateLimited, Message: "too many of these are open at once, close some", RetryAfter: whenFull}
}
