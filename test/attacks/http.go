//go:build linux

package attacks

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/parley-chat/parley/test/harness"
)

// bombBytes are what a body becomes that undoes its encodings.
const bombBytes = 64 << 20

// makeBomb makes a body of some hundred bytes, packed three times.
func makeBomb() ([]byte, error) {
	content := io.LimitReader(zeros{}, bombBytes)
	var packed bytes.Buffer
	for range 3 {
		var into bytes.Buffer
		writer := gzip.NewWriter(&into)
		if _, err := io.Copy(writer, content); err != nil {
			return nil, fmt.Errorf("pack: %w", err)
		}
		if err := writer.Close(); err != nil {
			return nil, fmt.Errorf("pack: %w", err)
		}
		packed = into
		content = bytes.NewReader(into.Bytes())
	}
	return packed.Bytes(), nil
}

type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// attacks are all that is done at the same time.
func (t *target) attacks() []attack {
	return []attack{
		{"bombs", 2, 100 * time.Millisecond, bombs},
		{"connections", 3, time.Second, manyConnections},
		{"slow heads", 1, time.Second, slowHeads},
		{"unread answers", 1, time.Second, unreadAnswers},
		{"malformed", 1, 50 * time.Millisecond, malformed},
		{"renames", 1, 10 * time.Millisecond, renames},
		{"reads", 2, 10 * time.Millisecond, reads},
		{"passwords", 2, 10 * time.Millisecond, passwords},
		{"sockets", 1, time.Second, manySockets},
		{"streams", 1, time.Second, manyStreams},
		{"reset polls", 1, 5 * time.Second, resetPolls},
		{"pongs", 2, 200 * time.Millisecond, frames(pong, "x")},
		{"fragments", 2, 200 * time.Millisecond, frames(continuation, " ")},
		{"empty", 1, 200 * time.Millisecond, frames(continuation, "")},
		{"loud guests", 30, 500 * time.Millisecond, loudGuest},
	}
}

func bombs(ctx context.Context, a *attempt) {
	for _, at := range []struct{ address, path string }{
		{a.auth, "/api/auth/logout"}, {a.auth, "/api/auth/login"}, {a.rooms, "/api/rooms"}, {a.edge(), "/ws"},
	} {
		a.exchange(ctx, at.address, post("POST", at.path, "", string(a.bomb), "Content-Encoding: gzip, gzip, gzip"))
	}
}

// Of each service so many connections are held, and for how long.
const (
	held    = 400
	holdFor = 8 * time.Second
)

func manyConnections(ctx context.Context, a *attempt) {
	holding, cancel := context.WithTimeout(ctx, holdFor)
	defer cancel()
	for n := range held {
		address := []string{a.auth, a.rooms, a.edge()}[n%3]
		if conn, err := a.dial(holding, address); err == nil {
			defer func() { _ = conn.Close() }()
			a.count("held")
		}
	}
	<-holding.Done()
}

func slowHeads(ctx context.Context, a *attempt) {
	slow, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var conns []net.Conn
	for range 150 {
		if conn, err := a.dial(slow, a.edge()); err == nil {
			conns = append(conns, conn)
		}
	}
	text := head("GET", "/api/rooms/general/events", "")
	for i := 0; i < len(text) && harness.Pause(slow, time.Second) == nil; i++ {
		for _, conn := range conns {
			_, _ = io.WriteString(conn, text[i:i+1])
		}
	}
	a.count("done")
}

// unreadAnswers asks much and reads nothing of it.
func unreadAnswers(ctx context.Context, a *attempt) {
	asking, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for n := range 60 {
		conn, err := a.dial(asking, []string{a.rooms, a.auth}[n%2])
		if err != nil {
			continue
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(4 << 10)
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(conn, strings.Repeat(head("GET", "/api/rooms?limit=100", ""), 500))
		a.count("unread")
	}
	<-asking.Done()
}

func malformed(ctx context.Context, a *attempt) {
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
		"GET / HTTP/1.1\rHost: a\r\r",
		"POST /api/auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
		"POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 20_000) + "\r\n\r\n",
		"*1\r\n$9223372036854775800\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		post("POST", "/api/auth/login", "", strings.Repeat(`{"a":`, 10_000)),
		post("POST", "/api/auth/login", "", strings.Repeat("[", 60_000)),
	} {
		for _, address := range []string{a.auth, a.rooms, a.edge()} {
			a.exchange(ctx, address, text)
		}
	}
}

// onOne sends requests on one connection, one after the other, until it ends or a second is over.
func (a *attempt) onOne(ctx context.Context, address string, request func(n int) string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := a.dial(ctx, address)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	for n := 0; ctx.Err() == nil; n++ {
		if _, err := io.WriteString(conn, request(n)); err != nil {
			return
		}
		if err := a.answer(reader); err != nil {
			return
		}
	}
}

// answer reads a whole answer.
func (a *attempt) answer(reader *bufio.Reader) error {
	if _, err := a.status(reader); err != nil {
		return err
	}
	length := int64(0)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return err
		}
		if line = strings.ToLower(strings.TrimSpace(line)); line == "" {
			break
		}
		_, _ = fmt.Sscanf(line, "content-length: %d", &length)
	}
	_, err := io.CopyN(io.Discard, reader, length)
	return err
}

func renames(ctx context.Context, a *attempt) {
	a.onOne(ctx, a.rooms, func(n int) string {
		return post("PATCH", "/api/rooms/"+string(a.room), a.user.AccessToken, fmt.Sprintf(`{"name":"Mine %d"}`, n))
	})
}

func reads(ctx context.Context, a *attempt) {
	a.onOne(ctx, a.rooms, func(n int) string {
		return head("GET", []string{"/api/rooms?limit=100&q=a", "/api/rooms/talk-0/messages?limit=100", "/api/rooms/talk-1"}[n%3], "")
	})
}

// passwords tries the administrator's, and claims to be somebody else each time.
func passwords(ctx context.Context, a *attempt) {
	a.onOne(ctx, a.auth, func(n int) string {
		return post("POST", "/api/auth/login", "", fmt.Sprintf(`{"username":%q,"password":"wrong horse %d"}`, harness.AdminName, n),
			fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", n%250), "X-Forwarded-For: 203.0.113.7")
	})
}
