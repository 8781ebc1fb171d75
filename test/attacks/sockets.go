//go:build linux

package attacks

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/parley-chat/parley/test/harness"
)

// handshake opens a WebSocket, or says why not by what is counted.
func (a *attempt) handshake(ctx context.Context, token string) (net.Conn, *bufio.Reader, bool) {
	conn, err := a.dial(ctx, a.edge())
	if err != nil {
		return nil, nil, false
	}
	_, _ = io.WriteString(conn, head("GET", "/ws", token, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="))
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	reader := bufio.NewReader(conn)
	if status, err := a.status(reader); err != nil || status != 101 {
		_ = conn.Close()
		return nil, nil, false
	}
	_ = conn.SetReadDeadline(time.Time{})
	return conn, reader, true
}

// frame is a client's, masked with zeros.
func frame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	default:
		b = append(b, 0x80|126)
		b = binary.BigEndian.AppendUint16(b, uint16(n)) //nolint:gosec // below 64 KiB
	}
	b = append(b, 0, 0, 0, 0)
	return append(b, payload...)
}

// The first bytes of frames: whether it is a message's last, and the opcode.
const (
	wholeText    = 0x81
	beginsText   = 0x01
	continuation = 0x00
	pong         = 0x8a
)

// frames floods a socket, signed in or not, with one kind of frame until it is cut.
func frames(first byte, payload string) func(context.Context, *attempt) {
	many := bytes.Repeat(frame(first, payload), 500)
	return func(ctx context.Context, a *attempt) {
		token := ""
		if a.next.Load()%2 == 0 {
			token, _ = a.guest(ctx)
		}
		conn, reader, ok := a.handshake(ctx, token)
		if !ok {
			return
		}
		defer func() { _ = conn.Close() }()
		go func() { _, _ = io.Copy(io.Discard, reader) }() // until the connection is closed
		_, _ = conn.Write(frame(beginsText, "{"))          // that fragments go on with
		for harness.Pause(ctx, 10*time.Millisecond) == nil {
			if _, err := conn.Write(many); err != nil {
				a.count("cut")
				return
			}
		}
	}
}

// Of one guest so many sockets and streams are tried, and held.
const (
	openTries = 500
	openFor   = 20 * time.Second
)

func manySockets(ctx context.Context, a *attempt) {
	holding, cancel := context.WithTimeout(ctx, openFor)
	defer cancel()
	token, ok := a.guest(holding)
	for n := 0; ok && n < openTries && harness.Pause(holding, 5*time.Millisecond) == nil; n++ {
		_, _, _ = a.handshake(holding, token)
	}
	<-holding.Done()
}

func manyStreams(ctx context.Context, a *attempt) {
	holding, cancel := context.WithTimeout(ctx, openFor)
	defer cancel()
	token, ok := a.guest(holding)
	for n := 0; ok && n < openTries && harness.Pause(holding, 5*time.Millisecond) == nil; n++ {
		conn, err := a.dial(holding, a.edge())
		if err != nil {
			continue
		}
		_, _ = io.WriteString(conn, head("GET", "/sse?room=talk-0&after=0", token))
		_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		_, _ = a.status(bufio.NewReader(conn))
	}
	<-holding.Done()
}

// resetPolls begins long polls and cuts them without a word.
func resetPolls(ctx context.Context, a *attempt) {
	token, ok := a.guest(ctx)
	for n := 0; ok && n < 100 && ctx.Err() == nil; n++ {
		conn, err := a.dial(ctx, a.edge())
		if err != nil {
			continue
		}
		_, _ = io.WriteString(conn, head("GET", "/api/rooms/talk-0/events?after=0&wait=60", token))
		if tcp, is := conn.(*net.TCPConn); is {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
		a.count("reset")
	}
}

// loudGuest sends the largest messages into a room of the people's as fast as it can.
func loudGuest(ctx context.Context, a *attempt) {
	token, ok := a.guest(ctx)
	if !ok {
		_ = harness.Pause(ctx, 5*time.Second)
		return
	}
	conn, reader, ok := a.handshake(ctx, token)
	if !ok {
		return
	}
	defer func() { _ = conn.Close() }()
	go func() { _, _ = io.Copy(io.Discard, reader) }() // until the connection is closed
	_, _ = conn.Write(frame(wholeText, `{"type":"join","id":1,"room":"mine"}`))
	body := strings.Repeat("noise ", 2700)
	for n := 0; harness.Pause(ctx, 20*time.Millisecond) == nil; n++ {
		a.count("sent")
		if _, err := conn.Write(frame(wholeText, fmt.Sprintf(`{"type":"send","id":%d,"room":"mine","nonce":"%s-%d","body":%q}`, n+2, token[len(token)-20:], n, body))); err != nil {
			a.count("cut")
			return
		}
	}
}
