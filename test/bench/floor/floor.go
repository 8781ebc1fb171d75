//go:build linux

// Package floor is the smallest chat server that Go allows: one process, the WebSocket's frames written
// by hand, rooms in memory, one write a delivery, nothing kept. What it costs is the least that
// anything costs on this machine that writes each message to each socket by itself. Given stores it is the
// smallest that keeps what it acks and would serve edges of any number: one INSERT a message, then its
// room's Redis stream and a bell, and only what is read from there is written to sockets.
package floor

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6455 wants it
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// Stores are the URLs of a PostgreSQL and a Redis.
type Stores struct{ Postgres, Redis string }

// Serve serves on address until ctx ends, by way of the stores if they are not nil.
func Serve(ctx context.Context, address string, stores *Stores) error {
	s := &server{rooms: map[string]*room{}, conns: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	defer serving.Wait()
	if stores != nil {
		var err error
		if s.kept, err = openStore(ctx, *stores); err != nil {
			return err
		}
		defer s.kept.close()
		serving.Go(func() { s.kept.follow(ctx, s.deliver) })
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer context.AfterFunc(ctx, func() {
		_ = listener.Close()
		s.closeAll()
	})()
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		serving.Go(func() { s.serve(ctx, conn) })
	}
}

type server struct {
	kept *store // nil: nothing is kept, and delivered at once

	mu    sync.Mutex
	rooms map[string]*room
	conns map[net.Conn]bool
}

type room struct {
	mu      sync.Mutex
	seq     int64
	members map[net.Conn]bool
}

func (s *server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
	}
}

func (s *server) serve(ctx context.Context, conn net.Conn) {
	s.mu.Lock()
	s.conns[conn] = true
	s.mu.Unlock()
	defer func() {
		_ = conn.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, conn)
		for _, r := range s.rooms {
			r.mu.Lock()
			delete(r.members, conn)
			r.mu.Unlock()
		}
	}()
	if ctx.Err() != nil || upgrade(conn) != nil {
		return
	}
	buf := make([]byte, 512)
	kept := 0
	for {
		n, err := conn.Read(buf[kept:])
		if err != nil {
			return
		}
		rest, err := s.frames(ctx, conn, buf[:kept+n])
		if err != nil {
			return
		}
		kept = copy(buf, rest)
	}
}

// upgrade answers the handshake. Its buffer is garbage afterwards.
func upgrade(conn net.Conn) error {
	in := bufio.NewReader(conn)
	key := ""
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		if line == "\r\n" {
			break
		}
		if value, ok := strings.CutPrefix(line, "Sec-WebSocket-Key: "); ok {
			key = strings.TrimSpace(value)
		}
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // RFC 6455 wants it
	_, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	return err
}

var errFrame = errors.New("not a frame of the bench")

// frames takes in the whole frames of b and returns what is left.
func (s *server) frames(ctx context.Context, conn net.Conn, b []byte) (rest []byte, err error) {
	for len(b) >= 6 {
		head, n := 6, int(b[1]&0x7f)
		if n == 126 {
			if len(b) < 8 {
				return b, nil
			}
			head, n = 8, int(binary.BigEndian.Uint16(b[2:]))
		}
		if n == 127 || head+n > 512 || b[1]&0x80 == 0 {
			return nil, errFrame
		}
		if len(b) < head+n {
			return b, nil
		}
		mask, payload := b[head-4:head], b[head:head+n]
		for i := range payload {
			payload[i] ^= mask[i&3]
		}
		if b[0] == 0x81 {
			if err := s.command(ctx, conn, payload); err != nil {
				return nil, err
			}
		}
		b = b[head+n:]
	}
	return b, nil
}

// command answers a join or a send.
func (s *server) command(ctx context.Context, conn net.Conn, p []byte) error {
	id, name := field(p, `"id":`), field(p, `"room":"`)
	r := s.room(string(name))
	r.mu.Lock()
	defer r.mu.Unlock()
	if bytes.HasPrefix(p, []byte(`{"type":"join"`)) {
		r.members[conn] = true
		answer := fmt.Sprintf(`{"type":"joined","id":%s,"room":{"slug":%q},"cursor":%d,"messages":[],"recovered":false}`, id, name, r.seq)
		return write(conn, frame(answer))
	}
	r.seq++
	at := time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00")
	event := frame(fmt.Sprintf(`{"type":"message","room":"%s","seq":%d,"message":{"id":%d,"author":{"id":"%s","name":"guest-of-the-bench","kind":"guest"},"body":"%s","sent_at":"%s","nonce":"%s"}}`,
		name, r.seq, r.seq, author, field(p, `"body":"`), at, field(p, `"nonce":"`)))
	if s.kept != nil {
		if err := s.kept.add(ctx, string(name), r.seq, string(field(p, `"nonce":"`)), event); err != nil {
			return err
		}
	} else {
		r.deliver(event)
	}
	return write(conn, frame(fmt.Sprintf(`{"type":"sent","id":%s,"room":"%s","message":%d}`, id, name, r.seq)))
}

// deliver is called under the room's lock.
func (r *room) deliver(event []byte) {
	for member := range r.members {
		_ = write(member, event) // who is gone is taken out by its reader
	}
}

// deliver hands what Redis brought to a room.
func (s *server) deliver(name string, event []byte) {
	r := s.room(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deliver(event)
}

// author is as long as an author's id is with Parley.
const author = "01234567890123456789012345"

func (s *server) room(name string) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[name]
	if r == nil {
		r = &room{members: map[net.Conn]bool{}}
		s.rooms[name] = r
	}
	return r
}

// field is what stands behind name, up to the next quote or comma.
func field(p []byte, name string) []byte {
	at := bytes.Index(p, []byte(name))
	if at < 0 {
		return nil
	}
	p = p[at+len(name):]
	end := `"`
	if !strings.HasSuffix(name, `"`) {
		end = ","
	}
	value, _, _ := bytes.Cut(p, []byte(end))
	return value
}

func write(conn net.Conn, b []byte) error {
	_, err := conn.Write(b)
	return err
}

func frame(text string) []byte {
	b := []byte{0x81}
	if len(text) < 126 {
		b = append(b, byte(len(text))) //nolint:gosec // checked
	} else {
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(len(text))) //nolint:gosec // a frame is shorter than 1 KiB
	}
	return append(b, text...)
}

// Token is what stands in for an access token: as long as one, and never looked at.
func Token() string { return strings.Repeat(rand.Text(), 20) }
