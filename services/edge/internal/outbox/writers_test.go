package outbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-chat/parley/pkg/wire"
)

// sockets makes outboxes of real connections whose writers run. A goodbye has the time cut to go out.
func sockets(t *testing.T, limit int, cut time.Duration) (connect func() (*Outbox, net.Conn), m *Metrics) {
	t.Helper()
	m = NewMetrics(prometheus.NewRegistry())
	writers := NewWriters()
	writers.cutTimeout = cut
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = writers.Run(ctx, func() {}) })
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		running.Wait()
		_ = listener.Close()
	})
	return func() (*Outbox, net.Conn) {
		t.Helper()
		client, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = server.Close(), client.Close() })
		return New(server, limit, writers, m), client
	}, m
}

// numbered is a frame of a size that names its place.
func numbered(n, size int) []byte {
	return wire.AppendText(nil, append(binary.BigEndian.AppendUint64(nil, uint64(n)), make([]byte, size)...))
}

// Frames of all sizes come in order, to one who reads at once and to one who reads little by little, so
// that writes are cut short.
func TestFramesReachRealSocketsInOrder(t *testing.T) {
	connect, m := sockets(t, 64<<20, cutTimeout)
	var readers sync.WaitGroup
	for _, pageSize := range []int{64 << 10, 1 << 10} {
		o, client := connect()
		var want []byte
		for n := range 4000 {
			want = append(want, numbered(n, n%7*1000)...)
		}
		readers.Go(func() {
			var got []byte
			page := make([]byte, pageSize)
			for len(got) < len(want) {
				n, err := client.Read(page)
				if err != nil {
					t.Error(err)
					return
				}
				got = append(got, page[:n]...)
			}
			if !bytes.Equal(got, want) {
				t.Error("other bytes came, or in another order")
			}
			o.End()
		})
		for n := range 4000 {
			o.Add(0, numbered(n, n%7*1000), time.Now())
		}
	}
	readers.Wait()
	if left := testutil.ToFloat64(m.outbox); left != 0 {
		t.Error("bytes are still counted:", left)
	}
}

// Sockets that take nothing delay no other, although they share its writer.
func TestAStalledSocketDelaysNoOther(t *testing.T) {
	connect, m := sockets(t, 1<<20, cutTimeout)
	stalled := make([]*Outbox, 8)
	for i := range stalled {
		stalled[i], _ = connect()
		for stalled[i].Code() == 0 {
			stalled[i].Add(0, numbered(0, 8<<10), time.Time{})
		}
	}
	if cuts := testutil.ToFloat64(m.cuts); cuts != 8 {
		t.Error("cut:", cuts)
	}
	for range 4 { // of each writer
		o, client := connect()
		o.Add(0, numbered(1, 0), time.Time{})
		_ = client.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.ReadFull(client, make([]byte, len(numbered(1, 0)))); err != nil {
			t.Error("a socket beside stalled ones:", err)
		}
		o.End()
	}
	for _, o := range stalled {
		o.End()
	}
	if left := testutil.ToFloat64(m.outbox); left != 0 {
		t.Error("bytes are still counted:", left)
	}
}

// A socket that could not take all for a while and then can is written to directly again, without the
// deadline of then.
func TestASocketRecovers(t *testing.T) {
	connect, _ := sockets(t, 64<<20, cutTimeout)
	o, client := connect()
	const size = 8 << 20
	for range size >> 13 {
		o.Add(0, make([]byte, 8<<10), time.Time{})
	}
	if _, err := io.ReadFull(client, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	o.mu.Lock()
	for o.state != idle { // until the goroutine has seen that nothing waits
		o.changed.Wait()
	}
	o.mu.Unlock()
	o.Add(0, []byte("again"), time.Time{})
	again := make([]byte, 5)
	if _, err := io.ReadFull(client, again); err != nil || string(again) != "again" {
		t.Errorf("%q, %v", again, err)
	}
	o.End()
}

func TestAGoodbyeEndsARealSocket(t *testing.T) {
	connect, m := sockets(t, 1<<20, 30*time.Second)
	for range 200 {
		o, client := connect()
		var sides sync.WaitGroup
		sides.Go(func() { o.Add(0, numbered(1, 100), time.Now()) })
		sides.Go(func() { o.Drop(1) })
		sides.Go(func() { o.Close(wire.CloseDrained) })
		all, err := io.ReadAll(client)
		if err != nil || !bytes.HasSuffix(all, wire.AppendClose(nil, wire.CloseDrained)) {
			t.Fatal("the last frame is not the goodbye", err, len(all))
		}
		sides.Wait()
		o.End()
	}
	if left := testutil.ToFloat64(m.outbox); left != 0 {
		t.Error("bytes are still counted:", left)
	}
}

// Rounds follow each other at once until there has been too much to do for a while; then frames gather
// between them until there is little.
func TestWritersGatherOnlyUnderLoad(t *testing.T) {
	now := time.Unix(0, 0)
	p := pace{since: now}
	round := func(took time.Duration) time.Duration {
		began := now
		now = now.Add(took)
		wait := p.wait(began, now)
		now = now.Add(wait)
		return wait
	}
	for range 2 {
		for busy := time.Duration(0); busy < busyFor; busy += 2 * time.Millisecond {
			if wait := round(2 * time.Millisecond); wait != 0 {
				t.Fatal("waits after", busy)
			}
		}
		for range 5 {
			if wait := round(2 * time.Millisecond); wait != 4*time.Millisecond {
				t.Fatal("gathers for", wait)
			}
		}
		if wait := round(time.Second); wait != gatherFor {
			t.Fatal("gathers for", wait)
		}
		if wait := round(calm / 2); wait != 0 {
			t.Fatal("waits although there is little to do")
		}
	}
}
