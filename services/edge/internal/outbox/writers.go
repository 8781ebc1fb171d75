package outbox

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// When writers gather. A write costs some 5 µs and a frame in it a fraction of one: who can't keep up
// writes less often and more at a time.
const (
	// busyFor is how long there must have been more to write at the end of each round.
	busyFor = 10 * time.Millisecond
	// busyRounds is how many rounds there must have been in that time: one that was slow, since others had
	// the processor, says nothing.
	busyRounds = 4
	// A busy writer waits between two rounds, twice as long as a round takes and gatherFor at most: a third of
	// its processor is for writing, the rest for what there is to write.
	gatherFor = 24 * time.Millisecond
	// calm is a round so short that nothing needs to be gathered any more.
	calm = time.Millisecond
)

// Writers write what waits in the outboxes, without ever waiting for a socket. There is one for two
// cores, with its share of the sockets; the others read and make what is to be written. An outbox that
// gets its first frame is due, and a writer's round takes all that are. Idle, a frame goes out at once.
// Under load a round takes longer, and what comes meanwhile goes out with the next, many frames in one
// write.
type Writers struct {
	writers []*writer
	next    atomic.Uint32
	spare   sync.Pool // of *[]frames, for outboxes in which something waits

	cutTimeout time.Duration
}

// NewWriters makes the writers; Run does the work.
func NewWriters() *Writers {
	w := &Writers{writers: make([]*writer, max(1, runtime.GOMAXPROCS(0)/2)), cutTimeout: cutTimeout}
	for i := range w.writers {
		w.writers[i] = newWriter()
	}
	w.spare.New = func() any { return new(make([]frames, 0, spareFrames)) }
	return w
}

// spareFrames is how many frames may wait in an outbox before it allocates.
const spareFrames = 6

// giveBack takes back what frames waited in; nil is nothing.
func (w *Writers) giveBack(spare *[]frames) {
	if spare != nil {
		clear((*spare)[:spareFrames])
		w.spare.Put(spare)
	}
}

// Run writes until ctx ends. Sessions must have ended before.
func (w *Writers) Run(ctx context.Context, ready func()) error {
	var running sync.WaitGroup
	for _, one := range w.writers {
		running.Go(func() { one.run(ctx) })
	}
	ready()
	running.Wait()
	return nil
}

// assign gives an outbox its writer.
func (w *Writers) assign() *writer { return w.writers[int(w.next.Add(1))%len(w.writers)] }

type writer struct {
	wake chan struct{}
	mu   sync.Mutex // after an Outbox's
	due  []*Outbox

	direct *direct   // of run alone, as is
	round  []*Outbox // taken in turns with due
}

func newWriter() *writer {
	return &writer{wake: make(chan struct{}, 1), direct: newDirect()}
}

// add makes an outbox due.
func (w *writer) add(o *Outbox) {
	w.mu.Lock()
	w.due = append(w.due, o)
	first := len(w.due) == 1
	w.mu.Unlock()
	if !first {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *writer) run(ctx context.Context) {
	pause := time.NewTimer(time.Hour)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		for p := (pace{since: time.Now()}); ; {
			began := time.Now()
			if !w.writeDue() {
				break
			}
			wait := p.wait(began, time.Now())
			if wait == 0 {
				continue
			}
			pause.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-pause.C:
			}
		}
	}
}

// pace decides when frames gather.
type pace struct {
	since  time.Time // there has always been something to do
	rounds int       // of them
	busy   bool      // too long
}

// wait says, after a round, how long the next one waits.
func (p *pace) wait(began, ended time.Time) time.Duration {
	took := ended.Sub(began)
	p.rounds++
	switch {
	case p.busy && took < calm:
		*p = pace{since: ended}
	case ended.Sub(p.since) > busyFor && p.rounds >= busyRounds:
		p.busy = true
	}
	if !p.busy {
		return 0
	}
	return min(2*took, gatherFor)
}

// writeDue is a round; false if nothing was due.
func (w *writer) writeDue() bool {
	w.mu.Lock()
	w.round, w.due = w.due, w.round[:0]
	w.mu.Unlock()
	for i, o := range w.round {
		o.flush(w.direct)
		w.round[i] = nil
	}
	return len(w.round) > 0
}
