package outbox

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-chat/parley/pkg/wire"
)

// outbox makes one that writes to a pipe: what the client does not read is not written. In a bubble of
// synctest the times of its writes are virtual.
func outbox(t *testing.T, limit int) (*Outbox, net.Conn, *Metrics) {
	t.Helper()
	server, client := net.Pipe()
	t.Cleanup(func() { _, _ = server.Close(), client.Close() })
	m := NewMetrics(prometheus.NewRegistry())
	return New(server, limit, NewWriters(), m), client, m
}

func TestFramesGoOutInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, client, m := outbox(t, 1<<20)
		var want []byte
		for i := range 1000 {
			frame := wire.AppendText(nil, bytes.Repeat([]byte{byte('a' + i%26)}, i%300))
			want = append(want, frame...)
			o.Add(0, frame, time.Time{})
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
			t.Error("other bytes came out", err)
		}
		o.End()
		if left := testutil.ToFloat64(m.outbox); left != 0 {
			t.Error("bytes are still counted:", left)
		}
	})
}

func TestASlowReaderIsCutAndTheRestIsFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, client, m := outbox(t, 64<<10)
		frame := wire.AppendText(nil, make([]byte, 8<<10))
		start := time.Now()
		for range 10_000 { // 80 MB to one who never reads
			o.Add(0, frame, time.Time{})
		}
		if testutil.ToFloat64(m.cuts) != 1 || o.Code() != wire.CloseSlowReader {
			t.Fatal("not cut", o.Code())
		}
		if waited := time.Since(start); waited != 0 {
			t.Error("a slow reader made its room wait", waited)
		}
		o.End() // the writer gives up by itself
		if left := testutil.ToFloat64(m.outbox); left != 0 {
			t.Error("bytes are still counted:", left)
		}
		_ = client.Close()
	})
}

func TestASlowButReadingClientSeesWhyItIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, client, _ := outbox(t, 64<<10)
		frame := wire.AppendText(nil, make([]byte, 8<<10))
		for o.Code() == 0 {
			o.Add(0, frame, time.Time{})
		}
		got, err := io.ReadAll(client)
		if err != nil || !bytes.HasSuffix(got, wire.AppendClose(nil, wire.CloseSlowReader)) {
			t.Error("the last frame is not the goodbye", err, len(got))
		}
		o.End()
	})
}

func TestTheGoodbyeOfOneWhoLostTheRightToListenComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, client, _ := outbox(t, 1<<20)
		fill := wire.AppendText(nil, make([]byte, 200))
		secret := wire.AppendText(nil, []byte("secret"))
		o.Add(0, fill, time.Time{})
		synctest.Wait() // it is being written
		o.Add(0, secret, time.Time{})
		o.Close(wire.CloseUnauthenticated)
		got, _ := io.ReadAll(client)
		if bytes.Contains(got, []byte("secret")) || !bytes.HasSuffix(got, wire.AppendClose(nil, wire.CloseUnauthenticated)) {
			t.Error("secret went out, or no goodbye")
		}
		o.End()
	})
}

func TestTakenOutDropsTheFramesOfThatRoomOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, client, m := outbox(t, 1<<20)
		const a, b = 1, 2
		o.Add(0, wire.AppendText(nil, make([]byte, 200)), time.Time{})
		synctest.Wait() // it is being written
		o.Add(a, wire.AppendText(nil, []byte("of a")), time.Time{})
		o.Add(b, wire.AppendText(nil, []byte("of b")), time.Time{})
		o.Add(0, wire.AppendText(nil, []byte("answer")), time.Time{})
		o.Drop(a)
		o.Close(wire.CloseDrained)
		got, _ := io.ReadAll(client)
		if bytes.Contains(got, []byte("of a")) || !bytes.Contains(got, []byte("of b")) || !bytes.Contains(got, []byte("answer")) {
			t.Error("dropped the wrong frames")
		}
		o.End()
		if left := testutil.ToFloat64(m.outbox); left != 0 {
			t.Error("bytes are still counted:", left)
		}
	})
}

func TestCommandsWaitWhileTheOutboxIsOverHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, client, _ := outbox(t, 1<<20)
		o.Add(0, wire.AppendText(nil, make([]byte, 700<<10)), time.Time{})
		passed := make(chan bool, 1)
		go func() { passed <- o.Wait() }()
		synctest.Wait()
		if len(passed) > 0 {
			t.Fatal("did not wait")
		}
		go func() { _, _ = io.Copy(io.Discard, client) }()
		if !<-passed {
			t.Error("closed")
		}
		o.End()
	})
}

func TestOutboxFromManySides(_ *testing.T) {
	for range 50 {
		server, client := net.Pipe()
		o := New(server, 1<<12, NewWriters(), NewMetrics(prometheus.NewRegistry()))
		go func() { _, _ = io.Copy(io.Discard, client) }()
		var sides sync.WaitGroup
		for range 4 {
			sides.Go(func() {
				for range 50 {
					o.Add(0, []byte("frame"), time.Now())
				}
			})
		}
		sides.Go(func() { o.Close(wire.CloseDrained) })
		sides.Go(func() { o.Drop(1) })
		sides.Wait()
		o.End()
		_ = client.Close()
	}
}

// The client says goodbye and its reader returns at once: the answer goes out all the same.
func TestAGoodbyeIsAnsweredBeforeTheConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 200 {
			o, client, _ := outbox(t, 1<<20)
			got := make(chan []byte, 1)
			go func() {
				all, _ := io.ReadAll(client)
				got <- all
			}()
			o.Close(wire.CloseNormal)
			o.End()
			if all := <-got; !bytes.Equal(all, wire.AppendClose(nil, wire.CloseNormal)) {
				t.Fatalf("got %q", all)
			}
		}
	})
}

// Who reads on after it was cut, even much later, learns why, and gets nothing that had to wait.
func TestALateReaderSeesWhyItIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, client, _ := outbox(t, 256<<10)
		frame := wire.AppendText(nil, make([]byte, 8<<10))
		for o.Code() == 0 {
			o.Add(0, frame, time.Time{})
		}
		<-time.After(writeTimeout - time.Second)
		got, err := io.ReadAll(client)
		if err != nil || !bytes.HasSuffix(got, wire.AppendClose(nil, wire.CloseSlowReader)) || len(got) > 2*writeChunk {
			t.Error("the last frame is not the goodbye", err, len(got))
		}
		o.End()
	})
}
