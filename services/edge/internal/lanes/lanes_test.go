package lanes

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
)

var bounds = Bounds{Batch: 3, BatchBytes: 100, Bytes: 1000, Age: 2 * time.Second}

// server takes batches, each for as long as took.
type server struct {
	took    time.Duration
	mu      sync.Mutex
	batches [][]int
	err     error
}

func (s *server) call(_ context.Context, batch []int) ([]int, error) {
	<-time.After(s.took) // virtual
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, slices.Clone(batch))
	answers := make([]int, len(batch))
	for i, n := range batch {
		answers[i] = -n
	}
	return answers, s.err
}

func TestIdleGoesOutAtOnceAndLoadGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{took: 10 * time.Millisecond}
		lane := New("test", bounds, NewMetrics(prometheus.NewRegistry()), s.call)
		var got []int
		var mu sync.Mutex
		for n := 1; n <= 8; n++ {
			lane.Submit(n, 1, func(answer int, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				got = append(got, answer)
			})
			if n == 1 {
				synctest.Wait() // the first is under way before the others come
			}
		}
		lane.Wait()
		want := [][]int{{1}, {2, 3, 4}, {5, 6, 7}, {8}}
		if !slices.EqualFunc(s.batches, want, slices.Equal) {
			t.Error("batches", s.batches)
		}
		if !slices.Equal(got, []int{-1, -2, -3, -4, -5, -6, -7, -8}) {
			t.Error("answers", got)
		}
	})
}

func TestABatchIsBoundedInBytesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{took: time.Millisecond}
		lane := New("test", bounds, NewMetrics(prometheus.NewRegistry()), s.call)
		for n := 1; n <= 4; n++ {
			lane.Submit(n, 60, func(int, error) {})
		}
		lane.Wait()
		for _, batch := range s.batches {
			if len(batch) != 1 {
				t.Error("two items of 60 bytes in a batch of 100:", s.batches)
			}
		}
	})
}

func TestWhatWaitsTooLongIsRefusedUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{took: 3 * time.Second}
		lane := New("test", bounds, NewMetrics(prometheus.NewRegistry()), s.call)
		codes := make([]chat.Code, 3)
		for n := range 3 {
			lane.Submit(n, 1, func(_ int, err error) { codes[n] = chat.CodeOf(err) })
			synctest.Wait()
		}
		lane.Wait()
		if codes[0] != "" || codes[1] != chat.CodeUnavailable || codes[2] != chat.CodeUnavailable || len(s.batches) != 1 {
			t.Error(codes, s.batches)
		}
	})
}

func TestAFullLaneRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{took: time.Second}
		lane := New("test", bounds, NewMetrics(prometheus.NewRegistry()), s.call)
		var refused atomic.Int32
		for n := range 30 {
			lane.Submit(n, 100, func(_ int, err error) {
				if err != nil {
					refused.Add(1)
				}
			})
		}
		if refused.Load() < 15 {
			t.Error("3,000 bytes went into a lane of 1,000; refused", refused.Load())
		}
		lane.Wait()
	})
}

func TestAnErrorIsEverybodys(t *testing.T) {
	s := &server{err: errors.New("down")}
	lane := New("test", bounds, NewMetrics(prometheus.NewRegistry()), s.call)
	for range 3 {
		if _, err := lane.Do(t.Context(), 1, 1); err == nil {
			t.Error("no error")
		}
	}
	lane.Wait()
}

// What is submitted while somebody waits, as calls are that came in just before a drain, is waited for too.
func TestALaneIsWaitedForWhileItIsSubmittedTo(t *testing.T) {
	for range 200 {
		var done atomic.Int32
		lane := New("test", bounds, NewMetrics(prometheus.NewRegistry()), (&server{}).call)
		var both sync.WaitGroup
		submit := func() { lane.Submit(1, 1, func(int, error) { done.Add(1) }) }
		submit()
		both.Go(submit)
		both.Go(func() {
			lane.Wait()
			if done.Load() == 0 {
				t.Error("did not wait")
			}
		})
		both.Wait()
		lane.Wait()
		if done.Load() != 2 {
			t.Fatal("done:", done.Load())
		}
	}
}
