package ws

import (
	"sync"
	"testing"
)

// Handshakes that end while the drain waits: each reader has ended when the wait returns, or none begins.
func TestReadersThatBeginDuringTheDrainAreWaitedFor(t *testing.T) {
	for range 1000 {
		r := newReaders()
		var all sync.WaitGroup
		var mu sync.Mutex
		reading, waited := 0, false
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			if waited {
				t.Error("a reader that nobody waited for")
			}
			reading += n
		}
		for range 4 {
			all.Go(func() {
				if r.begin() {
					count(1)
					count(-1)
					r.end()
				}
			})
		}
		all.Go(func() {
			r.wait()
			mu.Lock()
			defer mu.Unlock()
			if waited = true; reading != 0 {
				t.Error("still read:", reading)
			}
		})
		all.Wait()
		if r.begin() {
			t.Fatal("one began after the drain")
		}
	}
}
