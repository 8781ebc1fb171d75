//go:build linux

package load_test

import (
	"context"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-chat/parley/test/bench/floor"
	"github.com/parley-chat/parley/test/bench/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serveFloor runs a floor until the test ends.
func serveFloor(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- floor.Serve(ctx, address, nil) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return address
		}
	}
	t.Fatal("the floor does not serve")
	return ""
}

// eventually waits until a count is as it should be.
func eventually(t *testing.T, f *load.Fleet, what string, is func(load.Counts) bool) load.Counts {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if c := f.Counts(); is(c) {
			return c
		}
	}
	t.Fatalf("%s: %+v", what, f.Counts())
	return load.Counts{}
}

func TestAFleetOnTheFloor(t *testing.T) {
	address := serveFloor(t)
	f, err := load.New(2)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if failure := f.Close(); failure != nil {
			t.Error(failure)
		}
	}()
	seats := make([]load.Seat, 30)
	for i := range seats {
		seats[i] = load.Seat{Address: address, Token: "t", Rooms: []load.Room{load.Room(i % 3)}, Lazy: i >= 27}
	}
	conns, err := f.Enter(t.Context(), seats, 8)
	if err != nil || f.Open() != 30 {
		t.Fatal(f.Open(), err)
	}
	pick := func(i int) load.Send { return load.Send{By: conns[i%30], Room: load.Room(i % 3)} }
	s := load.Schedule{From: f.Now(), PerSecond: 300, For: 200 * time.Millisecond, Body: 120}
	f.Measure(s.From)
	if sent := f.Play(t.Context(), s, pick); sent != 60 {
		t.Fatal(sent, "sent")
	}
	all := eventually(t, f, "60 messages to 10 each", func(c load.Counts) bool { return c.Delivered == 600 && c.Acked == 60 })
	if all.Holes+all.Refused != 0 {
		t.Errorf("%+v", all)
	}
	delivery, acks := f.Times()
	if delivery.Count() != 540 || acks.Count() != 54 || delivery.Quantile(1) > int64(3*time.Second) {
		t.Error(delivery.Count(), acks.Count(), delivery.Quantile(1)) // the lazy are not timed
	}

	f.Pump(conns[:3], 4, 120)
	eventually(t, f, "a closed loop", func(c load.Counts) bool { return c.Acked > 200 })
	f.Pump(conns[:3], 0, 0)

	f.Cut()
	if f.Open() != 0 {
		t.Error("open after a cut:", f.Open())
	}
	if err := f.Return(t.Context(), 100); err != nil || f.Open() != 30 {
		t.Error(f.Open(), err)
	}
	if now := f.Counts(); now.Joined != 60 || now.Holes == 0 {
		t.Errorf("the floor resumes nobody, and that counts as holes: %+v", now)
	}
}

func TestASocketThatIsRefusedIsAnError(t *testing.T) {
	f, err := load.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err = f.Enter(t.Context(), []load.Seat{{Address: "127.0.0.1:1"}}, 1); err == nil {
		t.Error("nobody listens there")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, _ = conn.Write([]byte("HTTP/1.1 401 Unauthorized\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	if _, err := f.Enter(t.Context(), []load.Seat{{Address: listener.Addr().String()}}, 1); err == nil {
		t.Error("a handshake that was refused")
	}
}

// A server that writes a byte at a time, and then cuts those who do not read.
func TestASocketReadsWhatComesInPiecesAndLearnsWhyItWasClosed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	told, goOn := make(chan error, 1), make(chan struct{})
	go func() {
		conn, failure := listener.Accept()
		if failure != nil {
			told <- failure
			return
		}
		defer func() { _ = conn.Close() }()
		frames := "HTTP/1.1 101 Switching Protocols\r\n\r\n"
		for _, text := range []string{
			`{"type":"hello"}`, `{"type":"joined","id":0,"room":{"slug":"bench-5"},"cursor":41,"recovered":false}`,
			`{"type":"message","room":"bench-5","seq":42,"message":{"id":42,"body":"@7 x"}}`,
		} {
			frames += "\x81" + string(rune(len(text))) + text
		}
		for i := range len(frames) {
			if _, failure = conn.Write([]byte{frames[i]}); failure != nil {
				break
			}
			time.Sleep(100 * time.Microsecond)
		}
		<-goOn
		_, _ = conn.Write([]byte("\x88\x02\x11\x38"))
		told <- failure
	}()
	f, err := load.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	within, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conns, err := f.Enter(within, []load.Seat{{Address: listener.Addr().String(), Rooms: []load.Room{5}, Narrow: true}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	got := eventually(t, f, "a message in pieces", func(c load.Counts) bool { return c.Delivered == 1 })
	if got.Holes != 0 || got.Joined != 1 {
		t.Errorf("%+v", got)
	}
	if err = conns[0].Deafen(); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	if err = <-told; err != nil {
		t.Fatal(err)
	}
	if code := conns[0].Code(); code != 0 {
		t.Error("a deaf one has read", code)
	}
	if err = conns[0].Listen(); err != nil {
		t.Fatal(err)
	}
	eventually(t, f, "closed with 4408", func(c load.Counts) bool { return c.Closed[4408] == 1 && c.Closed[1006] == 0 })
	if conns[0].Code() != 4408 {
		t.Error(conns[0].Code())
	}
}
