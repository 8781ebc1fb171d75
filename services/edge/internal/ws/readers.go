package ws

import "sync"

// readers counts the sockets that are being read. A handshake may end while the drain waits for them: unlike
// a sync.WaitGroup, it may be begun and waited for at the same time.
type readers struct {
	mu    sync.Mutex
	open  int
	over  bool       // waited for: no more may begin
	ended *sync.Cond // of mu: open is 0
}

func newReaders() *readers {
	r := &readers{}
	r.ended = sync.NewCond(&r.mu)
	return r
}

// begin counts one more until end. It is false once wait has returned.
func (r *readers) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return false
	}
	r.open++
	return true
}

func (r *readers) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open--; r.open == 0 {
		r.ended.Broadcast()
	}
}

// wait returns when all have ended; none begins after that.
func (r *readers) wait() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.open > 0 {
		r.ended.Wait()
	}
	r.over = true
}
