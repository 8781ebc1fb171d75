package listen

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// script is a listener that accepts what it was told to.
type script struct {
	net.Listener

	steps  chan any // a net.Conn or an error
	closed chan struct{}
}

func newScript(steps ...any) *script {
	s := &script{steps: make(chan any, len(steps)), closed: make(chan struct{})}
	for _, step := range steps {
		s.steps <- step
	}
	return s
}

func (s *script) Accept() (net.Conn, error) {
	select {
	case step := <-s.steps:
		if err, bad := step.(error); bad {
			return nil, err
		}
		conn, _ := step.(net.Conn)
		return conn, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *script) Close() error   { close(s.closed); return nil }
func (s *script) Addr() net.Addr { return &net.TCPAddr{} }

// from is a connection of that address, whose closes it counts.
type from struct {
	net.Conn

	address string
	closed  atomic.Int32
	told    []byte
}

func (f *from) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(f.address), 1))
}
func (f *from) SetDeadline(time.Time) error { return nil }
func (f *from) Write(b []byte) (int, error) { f.told = append(f.told, b...); return len(b), nil }
func (f *from) Close() error                { f.closed.Add(1); return nil }

func accept(err syscall.Errno) error {
	return &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
}

func TestAcceptGoesOnAfterErrorsThatPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steps := []any{}
		for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPROTO, syscall.EPERM, syscall.EMFILE, syscall.EMFILE, syscall.EMFILE} {
			steps = append(steps, accept(errno))
		}
		good := &from{address: "192.0.2.1"}
		failed := 0
		l := New(newScript(append(steps, good, accept(syscall.EINVAL))...), Options{Failed: func() { failed++ }})
		began := time.Now()
		if _, err := l.Accept(); err != nil || failed != len(steps) {
			t.Fatal(err, failed)
		}
		if took := time.Since(began); took < time.Second || took > time.Duration(len(steps))*longestWait {
			t.Error("waited", took)
		}
		if _, err := l.Accept(); !errors.Is(err, syscall.EINVAL) {
			t.Error("what never passes is returned:", err)
		}
	})
}

func TestAListenerThatWaitsCanBeClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steps := make([]any, 100)
		for i := range steps {
			steps[i] = accept(syscall.EMFILE)
		}
		l := New(newScript(steps...), Options{})
		done := make(chan error, 1)
		go func() { _, err := l.Accept(); done <- err }()
		synctest.Wait()
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestConnectionsAreBoundedInAllAndForEachAddress(t *testing.T) {
	t.Parallel()
	refused := map[Reason]int{Full: 0, AddressFull: 0}
	s := &script{steps: make(chan any, 2), closed: make(chan struct{})}
	l := New(s, Options{
		Max: 6, PerAddress: 2, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Answer: func(r Reason) []byte { return []byte(r) }, Refused: func(r Reason) { refused[r]++ },
	})
	var open []net.Conn
	come := func(address string, want Reason) {
		t.Helper()
		conn := &from{address: address}
		s.steps <- conn
		if want != "" { // Accept goes on to the next
			s.steps <- net.ErrClosed
		}
		got, err := l.Accept()
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", address, err)
		case want == "":
			open = append(open, got)
		case string(conn.told) != string(want) || conn.closed.Load() != 1:
			t.Errorf("%s: told %q, closed %d times, want %q", address, conn.told, conn.closed.Load(), want)
		}
	}
	come("192.0.2.1", "")
	come("::ffff:192.0.2.1", "")
	come("192.0.2.1", AddressFull)
	come("2001:db8::1", "")
	come("2001:db8::2", "") // of the same /64
	come("2001:db8::3", AddressFull)
	_ = errors.Join(open[0].Close(), open[0].Close()) // counts once
	come("192.0.2.1", "")
	come("192.0.2.1", AddressFull)
	come("10.0.0.1", "")
	come("10.0.0.1", "")
	come("10.0.0.1", Full)
	come("192.0.2.9", Full)
	if l.Connections() != 6 || refused[Full] != 2 || refused[AddressFull] != 3 {
		t.Error(l.Connections(), refused)
	}
	for _, conn := range open {
		_ = conn.Close()
	}
	if l.Connections() != 0 || len(l.byAddress) != 0 {
		t.Error(l.Connections(), l.byAddress)
	}
}

// A refused client reads its answer, though it has sent a request that nobody reads.
func TestARefusedClientReadsWhy(t *testing.T) {
	t.Parallel()
	l, err := Open(t.Context(), "X", "127.0.0.1:0", Options{Max: 1, Answer: func(Reason) []byte { return []byte("full") }})
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 2)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	first := dial()
	held := <-accepted
	if _, ok := held.(interface {
		SyscallConn() (syscall.RawConn, error)
	}); !ok {
		t.Error("the connection hides its descriptor")
	}
	if n, err := (&net.Buffers{[]byte("a"), []byte("b")}).WriteTo(held); n != 2 || err != nil {
		t.Error(n, err)
	}
	second := dial()
	if _, err := io.WriteString(second, "GET / HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if told, err := io.ReadAll(second); string(told) != "full" || err != nil {
		t.Errorf("%q, %v", told, err)
	}
	for _, conn := range []net.Conn{first, second, held} {
		_ = conn.Close()
	}
	third := dial()
	defer func() { _ = third.Close() }()
	again := <-accepted
	_ = errors.Join(again.Close(), l.Close())
	<-done
}

func TestABudgetLeavesDescriptors(t *testing.T) {
	t.Parallel()
	for descriptors, want := range map[int]Budget{
		0: {6, 2, 1}, 64: {24, 8, 4}, 256: {96, 32, 16}, 1024: {576, 192, 32}, 65536: {46080, 15360, 64}, 1 << 30: {783360, 261120, 64},
	} {
		if got := BudgetFor(descriptors); got != want {
			t.Errorf("%d: %+v, want %+v", descriptors, got, want)
		}
	}
	if got := BudgetHere(); got.Public < 1 || got.Public+got.Internal+got.Admin >= mostDescriptors {
		t.Error(fmt.Sprint(got))
	}
}
