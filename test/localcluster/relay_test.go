package localcluster

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// echo is a server that says its name and then what it is told.
func echo(t *testing.T, name string) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				_, _ = conn.Write([]byte(name))
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

func TestRelay(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t, goleak.IgnoreCurrent()) })
	one, two := echo(t, "1"), echo(t, "2")
	r, err := newRelay(t.Context(), "test", "127.0.0.1:0", one)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx, func() {}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	dial := func() net.Conn {
		t.Helper()
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	read := func(conn net.Conn, within time.Duration) string {
		_ = conn.SetReadDeadline(time.Now().Add(within))
		b := make([]byte, 1)
		if _, err := conn.Read(b); err != nil {
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				return "nothing"
			}
			return "end"
		}
		return string(b)
	}
	const patience = 30 * time.Second
	say := func(conn net.Conn, what string) { _, _ = conn.Write([]byte(what)) }

	conn := dial()
	if got := read(conn, patience); got != "1" {
		t.Fatal(got)
	}
	r.Set(NetworkFault{Delay: 100 * time.Millisecond})
	began := time.Now()
	say(conn, "a")
	if got, took := read(conn, patience), time.Since(began); got != "a" || took < 200*time.Millisecond {
		t.Error(got, took)
	}
	r.Set(NetworkFault{Hang: true})
	say(conn, "b")
	young := dial()
	if got := read(conn, 100*time.Millisecond); got != "nothing" {
		t.Error(got)
	}
	if got := read(young, 100*time.Millisecond); got != "nothing" {
		t.Error(got)
	}
	r.Set(NetworkFault{})
	if got := read(conn, patience) + read(young, patience); got != "b1" {
		t.Error("what hung did not go on:", got)
	}
	r.Redirect(two)
	if got := read(conn, patience) + read(dial(), patience); got != "end2" {
		t.Error(got)
	}
	last := dial()
	if got := read(last, patience); got != "2" {
		t.Error(got)
	}
	r.Set(NetworkFault{Refuse: true})
	if got := read(last, patience) + read(dial(), patience); got != "endend" {
		t.Error(got)
	}
}
