// Package outbox holds the frames that wait for sockets, and writes them.
package outbox

import (
	"bytes"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
)

// Times of an outbox.
const (
	writeTimeout = 20 * time.Second // of one write
	cutTimeout   = time.Second      // of what goes out after the decision to close
)

// writeChunk is about how much goes into one write, in bytes: a close frame can take the place of what
// waits, but not of what is being written.
const writeChunk = 64 << 10

// kernelBuffer is what the kernel may hold for one socket, in bytes; Linux takes it twice, for its own needs.
// Left to itself it takes megabytes of what a client does not read, counted nowhere, and each write to such
// a socket costs ten times as much as one to a socket that is read.
const kernelBuffer = 64 << 10

// Outbox holds the frames that wait for one socket, in order and bounded in bytes. An outbox that was
// empty becomes due at its writer, which writes all that is there at once. One whose socket does not
// take it has a goroutine that waits for the socket, until nothing waits any more. Frames are shared
// between sockets and never changed.
type Outbox struct {
	conn    net.Conn
	raw     syscall.RawConn // nil: conn is written to by goroutines only
	writers *Writers
	writer  *writer
	limit   int
	metrics *Metrics

	mu      sync.Mutex
	waiting []frames
	spare   *[]frames // where waiting began, to be given back
	bytes   int       // waiting or being written
	state   state
	closing wire.CloseCode // 0: open
	changed sync.Cond      // signalled when bytes fall, the state is idle again, or the outbox closes
}

// state is who writes.
type state byte

const (
	idle    state = iota // nobody: nothing waits
	due                  // the writer will, or does
	blocked              // a goroutine that waits for the socket
)

// frames are whole frames; room is 0 for those that are not of a room.
type frames struct {
	room  chat.RoomID
	bytes []byte
	since int64 // Unix nanoseconds, 0: not measured
}

// New makes an outbox that writes to conn and holds limit bytes.
func New(conn net.Conn, limit int, w *Writers, m *Metrics) *Outbox {
	o := &Outbox{conn: conn, raw: rawOf(conn), writers: w, writer: w.assign(), limit: limit, metrics: m}
	o.changed.L = &o.mu
	if sized, ok := conn.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = sized.SetWriteBuffer(kernelBuffer) // fails on a connection that is gone, as its first write will
	}
	return o
}

// Add queues frames. One who reads too slowly for them is cut: CloseSlowReader.
func (o *Outbox) Add(room chat.RoomID, content []byte, since time.Time) {
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
	f := frames{room: room, bytes: content}
	if !since.IsZero() {
		f.since = since.UnixNano()
	}
	o.addLocked(f)
}

func (o *Outbox) addLocked(f frames) {
	if o.waiting == nil {
		o.spare = o.writers.spare.Get().(*[]frames) //nolint:forcetypeassert,errcheck // it holds nothing else
		o.waiting = (*o.spare)[:0]
	}
	o.waiting = append(o.waiting, f)
	o.bytes += len(f.bytes)
	o.metrics.waiting.Add(int64(len(f.bytes)))
	switch {
	case o.state != idle:
	case o.raw == nil:
		o.state = blocked
		go o.wait(nil)
	default:
		o.state = due
		o.writer.add(o)
	}
}

// Drop takes back the frames of a room that have not gone out yet.
func (o *Outbox) Drop(room chat.RoomID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	kept := o.waiting[:0]
	for _, f := range o.waiting {
		if f.room == room && f.room != 0 {
			o.countLocked(len(f.bytes))
			continue
		}
		kept = append(kept, f)
	}
	clear(o.waiting[len(kept):])
	o.waiting = kept
}

// Close queues a close frame with code after what waits, or in its place, and then ends the connection. Only
// the first code counts.
func (o *Outbox) Close(code wire.CloseCode) {
	o.mu.Lock()
	defer o.mu.Unlock()
	// An outbox drops its pending frames when its user loses access.
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
	timeout := o.writers.cutTimeout
	if code == wire.CloseSlowReader {
		timeout = writeTimeout // it reads, if slowly: it shall learn why it was cut
	}
	_ = o.conn.SetWriteDeadline(time.Now().Add(timeout))
	o.addLocked(frames{bytes: wire.AppendClose(nil, code)})
	o.changed.Broadcast()
}

// Abort ends the connection without a word, when the other side is gone.
func (o *Outbox) Abort() {
	o.mu.Lock()
	if o.closing == 0 {
		o.closing = wire.CloseNormal
	}
	o.mu.Unlock()
	o.changed.Broadcast()
	_ = o.conn.Close()
}

// Wait returns when the outbox is under half of its limit, or closing: the next command of a socket is
// read only then.
func (o *Outbox) Wait() (open bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.bytes > o.limit/2 && o.closing == 0 {
		o.changed.Wait()
	}
	return o.closing == 0
}

// End ends the connection, after the close frame if there is one, and returns when nobody writes any
// more. The connection may not be touched afterwards.
func (o *Outbox) End() {
	if !o.Closing() {
		o.Abort()
	}
	_ = o.conn.SetWriteDeadline(time.Now().Add(o.writers.cutTimeout)) // nobody reads on: a close frame has little time
	o.mu.Lock()
	for o.state != idle {
		o.changed.Wait()
	}
	o.mu.Unlock()
	o.Abort()
}

func (o *Outbox) countLocked(sent int) {
	o.bytes -= sent
	o.metrics.waiting.Add(-int64(sent))
}

// take takes what goes into the next write, a chunk of it; nothing is left to do where there is none.
func (o *Outbox) take() (batch taken, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		if o.closing != 0 {
			o.closeWrite()
		} else if o.state == blocked {
			_ = o.conn.SetWriteDeadline(time.Time{})
		}
		o.writers.giveBack(o.spare)
		o.spare, o.waiting, o.state = nil, nil, idle
		o.changed.Broadcast()
		return taken{}, false
	}
	n := 0
	for n < len(o.waiting) && (n == 0 || batch.size+len(o.waiting[n].bytes) <= writeChunk) {
		batch.size += len(o.waiting[n].bytes)
		n++
	}
	batch.frames = o.waiting[:n:n]
	if n < len(o.waiting) {
		o.waiting = o.waiting[n:]
		return batch, true
	}
	batch.spare, o.spare, o.waiting = o.spare, nil, nil
	return batch, true
}

// taken is what goes into one write.
type taken struct {
	frames []frames
	size   int
	spare  *[]frames // to be given back with it
}

// wrote says that a batch is out of our hands.
func (o *Outbox) wrote(batch taken, err error) {
	if err == nil {
		measure(o.metrics.delivery, batch.frames)
	}
	clear(batch.frames)
	o.mu.Lock()
	o.countLocked(batch.size)
	o.mu.Unlock()
	o.changed.Broadcast()
	o.writers.giveBack(batch.spare)
	if err != nil {
		o.Abort() // wakes the reader, which ends the session
	}
}

// flush writes what waits, as far as the socket takes it. Its writer calls it.
func (o *Outbox) flush(d *direct) {
	for {
		batch, more := o.take()
		if !more {
			return
		}
		d.buffer = d.buffer[:0]
		for i := range batch.frames {
			d.buffer = append(d.buffer, batch.frames[i].bytes...)
		}
		n, err := d.write(o.raw)
		if err == nil && n < len(d.buffer) {
			o.mu.Lock()
			o.state = blocked
			o.mu.Unlock()
			go o.wait(&rest{bytes: bytes.Clone(d.buffer[n:]), of: batch})
			return
		}
		o.wrote(batch, err)
	}
}

// rest is what a socket did not take of a batch.
type rest struct {
	bytes []byte
	of    taken
}

// wait writes what waits, the rest of something first, and waits for the socket to take it.
func (o *Outbox) wait(before *rest) {
	if before != nil {
		o.wrote(before.of, o.write(net.Buffers{before.bytes}))
	}
	for {
		batch, more := o.take()
		if !more {
			return
		}
		buffers := make(net.Buffers, len(batch.frames))
		for i := range batch.frames {
			buffers[i] = batch.frames[i].bytes
		}
		o.wrote(batch, o.write(buffers))
	}
}

func (o *Outbox) write(buffers net.Buffers) error {
	o.mu.Lock()
	if o.closing == 0 { // else there is another deadline
		_ = o.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	}
	o.mu.Unlock()
	_, err := buffers.WriteTo(o.conn)
	return err
}

// closeWrite ends the connection after the close frame. It closes our side only and leaves the reader a moment
// to read on: closing at once while the client's bytes lie unread would have the kernel reset the
// connection, and the client might never see the code.
func (o *Outbox) closeWrite() {
	half, ok := o.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		_ = o.conn.Close()
		return
	}
	_ = o.conn.SetReadDeadline(time.Now().Add(o.writers.cutTimeout))
}

// Closing says that a close frame is queued: what the client still sends is read and forgotten.
func (o *Outbox) Closing() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closing != 0
}

// Code is the code of the close frame, 1000 if the client or the network ended it.
func (o *Outbox) Code() wire.CloseCode {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closing
}

// measure observes the oldest of what was written: what is quoted is the worst.
func measure(delivery prometheus.Observer, batch []frames) {
	for _, f := range batch {
		if f.since != 0 {
			delivery.Observe(max(0, time.Since(time.Unix(0, f.since)).Seconds()))
			return
		}
	}
}
