// Package lanes gathers calls into batches without ever waiting for company: while one batch of a
// lane is under way, the next one gathers. Idle, a call goes out at once; under load, batches grow.
package lanes

import (
	"context"
	"sync"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
)

// Bounds of a lane. What waits beyond them is refused with CodeUnavailable, at once and unsent.
type Bounds struct {
	Batch      int           // calls in one batch
	BatchBytes int           // about
	Bytes      int           // waiting
	Age        time.Duration // of what waits
}

// Call sends one batch and returns one answer per item, in order, or an error for all.
type Call[Q, A any] func(ctx context.Context, batch []Q) ([]A, error)

// Lane carries items in the order in which they were submitted, one batch at a time.
type Lane[Q, A any] struct {
	call     Call[Q, A]
	bounds   Bounds
	measured measured

	mu      sync.Mutex
	waiting []item[Q, A]
	bytes   int
	busy    bool       // a goroutine carries
	idle    *sync.Cond // of mu: it carries no more
}

type item[Q, A any] struct {
	query Q
	bytes int
	since time.Time
	done  func(A, error)
}

// New makes a lane. Those of one name are measured together.
func New[Q, A any](name string, bounds Bounds, metrics *Metrics, call Call[Q, A]) *Lane[Q, A] {
	l := &Lane[Q, A]{call: call, bounds: bounds, measured: metrics.of(name, bounds)}
	l.idle = sync.NewCond(&l.mu)
	return l
}

// Submit queues query, of about that many bytes. done is called exactly once, from another goroutine
// or, where the lane is full, from this one. It must not block.
func (l *Lane[Q, A]) Submit(query Q, bytes int, done func(A, error)) {
	l.mu.Lock()
	if l.bytes+bytes > l.bounds.Bytes && len(l.waiting) > 0 {
		l.mu.Unlock()
		l.measured.full.Inc()
		var none A
		done(none, errFull())
		return
	}
	l.waiting = append(l.waiting, item[Q, A]{query, bytes, time.Now(), done})
	l.bytes += bytes
	l.measured.entries.Inc()
	l.measured.bytes.Add(float64(bytes))
	start := !l.busy
	l.busy = true
	l.mu.Unlock()
	if start {
		go l.carry()
	}
}

// Do is Submit that waits for the answer or for ctx.
func (l *Lane[Q, A]) Do(ctx context.Context, query Q, bytes int) (A, error) {
	type result struct {
		answer A
		err    error
	}
	results := make(chan result, 1)
	l.Submit(query, bytes, func(a A, err error) { results <- result{a, err} })
	select {
	case r := <-results:
		return r.answer, r.err
	case <-ctx.Done():
		var none A
		return none, chat.Errorf(chat.CodeUnavailable, "no answer in time, try again")
	}
}

// Wait returns when nothing is under way, also what is submitted meanwhile.
func (l *Lane[Q, A]) Wait() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.busy {
		l.idle.Wait()
	}
}

func (l *Lane[Q, A]) carry() {
	for {
		batch, more := l.take()
		if !more {
			return
		}
		if len(batch) == 0 {
			continue
		}
		queries := make([]Q, len(batch))
		for i := range batch {
			queries[i] = batch[i].query
		}
		answers, err := l.call(context.Background(), queries)
		for i := range batch {
			var answer A
			if err == nil && i < len(answers) {
				answer = answers[i]
			}
			batch[i].done(answer, err)
		}
	}
}

// take returns the next batch. What has waited too long is refused, unsent. The lane is idle when there was
// neither.
func (l *Lane[Q, A]) take() (batch []item[Q, A], more bool) {
	l.mu.Lock()
	before := l.bytes
	var old []item[Q, A]
	for len(l.waiting) > 0 && time.Since(l.waiting[0].since) > l.bounds.Age {
		old = append(old, l.waiting[0])
		l.bytes -= l.waiting[0].bytes
		l.waiting = l.waiting[1:]
	}
	n, bytes := 0, 0
	for n < len(l.waiting) && n < l.bounds.Batch && (n == 0 || bytes+l.waiting[n].bytes <= l.bounds.BatchBytes) {
		bytes += l.waiting[n].bytes
		n++
	}
	batch = l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	l.bytes -= bytes
	l.measured.entries.Sub(float64(n + len(old)))
	l.measured.bytes.Sub(float64(before - l.bytes))
	if more = n > 0 || len(old) > 0; !more {
		l.waiting = nil
		l.busy = false
		l.idle.Broadcast()
	}
	l.mu.Unlock()
	if n > 0 {
		metric.Since(l.measured.waited, batch[0].since, "")
	}
	l.measured.old.Add(float64(len(old)))
	for i := range old {
		var none A
		old[i].done(none, errFull())
	}
	return batch, more
}

func errFull() error {
	return &chat.Error{Code: chat.CodeUnavailable, Message: "too much is waiting, try again", RetryAfter: time.Second}
}
