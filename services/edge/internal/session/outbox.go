package session

import (
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/hub"
)

// Times of an outbox.
const (
	writeTimeout = 20 * time.Second // of one write
	cutTimeout   = time.Second      // of what goes out after the decision to close
)

// writeChunk is about how much goes into one write, in bytes: a goodbye can take the place of what
// waits, but not of what is being written.
const writeChunk = 64 << 10

// Outbox holds the frames that wait for one socket, in order and bounded in bytes. An outbox that was
// empty starts its writer; the writer takes all that is there in one writev. Frames are shared
// between sockets and never changed.
type Outbox struct {
	conn    net.Conn
	limit   int
	metrics *Metrics

	mu      sync.Mutex
	waiting []frames
	bytes   int // waiting or being written
	writing bool
	closing wire.CloseCode // 0: open
	drained sync.Cond      // signalled when bytes fall or the outbox closes
	writers sync.WaitGroup
}

// frames are whole frames; room is nil for those that are not of a room.
type frames struct {
	room  *hub.Room
	bytes []byte
	since time.Time // zero: not measured
}

// NewOutbox makes an outbox that writes to conn and holds limit bytes.
func NewOutbox(conn net.Conn, limit int, m *Metrics) *Outbox {
	o := &Outbox{conn: conn, limit: limit, metrics: m}
	o.drained.L = &o.mu
	return o
}

// Add queues frames. One who reads too slowly for them is cut: CloseSlowReader.
func (o *Outbox) Add(room *hub.Room, content []byte, since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing != 0 {
		return
	}
	if o.bytes+len(content) > o.limit {
		o.metrics.cuts.Inc()
		o.closeLocked(wire.CloseSlowReader, true)
		return
	}
	o.addLocked(frames{room, content, since})
}

func (o *Outbox) addLocked(f frames) {
	o.waiting = append(o.waiting, f)
	o.bytes += len(f.bytes)
	o.metrics.outbox.Add(float64(len(f.bytes)))
	if !o.writing {
		o.writing = true
		o.writers.Add(1)
		go o.write()
	}
}

// Drop takes back the frames of a room that have not gone out yet.
func (o *Outbox) Drop(room *hub.Room) {
	o.mu.Lock()
	defer o.mu.Unlock()
	kept := o.waiting[:0]
	for _, f := range o.waiting {
		if f.room == room && f.room != nil {
			o.countLocked(len(f.bytes))
			continue
		}
		kept = append(kept, f)
	}
	clear(o.waiting[len(kept):])
	o.waiting = kept
}

// Close says goodbye with code after what waits, or in its place, and then ends the connection. Only
// the first code counts.
func (o *Outbox) Close(code wire.CloseCode) {
	o.mu.Lock()
	defer o.mu.Unlock()
	// Who lost the right to listen gets nothing that still waits.
	o.closeLocked(code, code == wire.CloseUnauthenticated)
}

func (o *Outbox) closeLocked(code wire.CloseCode, discard bool) {
	if o.closing != 0 {
		return
	}
	o.closing = code
	if discard {
		for _, f := range o.waiting {
			o.countLocked(len(f.bytes))
		}
		o.waiting = nil
	}
	timeout := cutTimeout
	if code == wire.CloseSlowReader {
		timeout = writeTimeout // it reads, if slowly: it shall learn why it was cut
	}
	_ = o.conn.SetWriteDeadline(time.Now().Add(timeout))
	o.addLocked(frames{bytes: wire.AppendClose(nil, code)})
	o.drained.Broadcast()
}

// Abort ends the connection without a word, when the other side is gone.
func (o *Outbox) Abort() {
	o.mu.Lock()
	if o.closing == 0 {
		o.closing = wire.CloseNormal
	}
	o.mu.Unlock()
	o.drained.Broadcast()
	_ = o.conn.Close()
}

// Wait returns when the outbox is under half of its limit, or closing: the next command of a socket is
// read only then.
func (o *Outbox) Wait() (open bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.bytes > o.limit/2 && o.closing == 0 {
		o.drained.Wait()
	}
	return o.closing == 0
}

// End ends the connection, after the goodbye if one has been decided, and returns when the writer has
// ended. The connection may not be touched afterwards.
func (o *Outbox) End() {
	if !o.Closing() {
		o.Abort()
	}
	_ = o.conn.SetWriteDeadline(time.Now().Add(cutTimeout)) // nobody reads on: a goodbye has little time
	o.writers.Wait()
	o.Abort()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.waiting {
		o.countLocked(len(f.bytes))
	}
	o.waiting = nil
}

func (o *Outbox) countLocked(sent int) {
	o.bytes -= sent
	o.metrics.outbox.Add(-float64(sent))
}

// write takes what waits, a chunk at a time, and writes it, until nothing waits.
func (o *Outbox) write() {
	defer o.writers.Done()
	for {
		o.mu.Lock()
		batch := o.takeLocked()
		closing := o.closing != 0
		if len(batch) == 0 {
			o.writing = false
			o.mu.Unlock()
			if closing {
				o.hangUp()
			}
			return
		}
		if !closing {
			_ = o.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		}
		o.mu.Unlock()

		buffers := make(net.Buffers, len(batch))
		size := 0
		for i := range batch {
			buffers[i] = batch[i].bytes
			size += len(batch[i].bytes)
		}
		_, err := buffers.WriteTo(o.conn)
		if err == nil {
			measure(o.metrics.delivery, batch)
		}
		o.mu.Lock()
		o.countLocked(size)
		o.mu.Unlock()
		o.drained.Broadcast()
		if err != nil {
			o.Abort() // wakes the reader, which ends the session
		}
	}
}

// hangUp ends the connection after the goodbye. It closes our side only and leaves the reader a moment
// to read on: closing at once while the client's bytes lie unread would have the kernel reset the
// connection, and the client might never see the code.
func (o *Outbox) hangUp() {
	half, ok := o.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		_ = o.conn.Close()
		return
	}
	_ = o.conn.SetReadDeadline(time.Now().Add(cutTimeout))
}

// Closing says that the goodbye has been decided: what the client still sends is read and forgotten.
func (o *Outbox) Closing() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closing != 0
}

// Code is the code of the goodbye, 1000 if the client or the network ended it.
func (o *Outbox) Code() wire.CloseCode {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closing
}

// takeLocked takes what goes into the next write.
func (o *Outbox) takeLocked() []frames {
	n, size := 0, 0
	for n < len(o.waiting) && (n == 0 || size+len(o.waiting[n].bytes) <= writeChunk) {
		size += len(o.waiting[n].bytes)
		n++
	}
	batch := o.waiting[:n:n]
	if o.waiting = o.waiting[n:]; len(o.waiting) == 0 {
		o.waiting = nil
	}
	return batch
}

// measure observes the oldest of what was written: what is quoted is the worst.
func measure(delivery prometheus.Observer, batch []frames) {
	for _, f := range batch {
		if !f.since.IsZero() {
			delivery.Observe(max(0, time.Since(f.since).Seconds()))
			return
		}
	}
}
