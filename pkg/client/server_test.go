package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/wire"
)

// script is a server of one room that keeps a log and does to each frame what the test says.
type script struct {
	t      *testing.T
	server *httptest.Server

	mu     sync.Mutex
	log    []chat.Message // seq = index + 1
	nonces map[string]chat.Seq
	conns  map[*serverConn]bool
	dials  int
	joins  []wire.Command
	tokens []string // of handshakes and renewals
	// on, where it is set, sees each command first; true: it was dealt with.
	on func(c *serverConn, command wire.Command) bool
	// refuse, where it is set, answers a handshake; true: it did.
	refuse func(dial int, w http.ResponseWriter) bool
}

type serverConn struct {
	conn   *websocket.Conn
	mu     sync.Mutex
	joined bool
}

func newScript(t *testing.T) *script {
	t.Helper()
	s := &script{t: t, nonces: map[string]chat.Seq{}, conns: map[*serverConn]bool{}}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.server.Close)
	return s
}

func (s *script) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.dials++
	dial, refuse := s.dials, s.refuse
	s.tokens = append(s.tokens, r.Header.Get("Authorization"))
	s.mu.Unlock()
	if refuse != nil && refuse(dial, w) {
		return
	}
	upgrader := websocket.Upgrader{}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &serverConn{conn: conn}
	defer func() { _ = conn.Close() }()
	c.send(wire.Hello{Type: "hello", HeartbeatMS: 25000})
	s.mu.Lock()
	s.conns[c] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	for {
		var command wire.Command
		if err := conn.ReadJSON(&command); err != nil {
			return
		}
		s.command(c, command)
	}
}

func (s *script) command(c *serverConn, command wire.Command) {
	s.mu.Lock()
	on := s.on
	if command.Type == wire.TypeJoin {
		s.joins = append(s.joins, command)
	}
	s.mu.Unlock()
	if on != nil && on(c, command) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch command.Type {
	case wire.TypeJoin:
		c.joined = true
		c.send(s.joined(command, command.After != nil))
	case operation.NameSend:
		seq := s.store(command)
		c.send(wire.Sent{Type: "sent", ID: command.ID, Room: command.Room, Message: seq})
	case wire.TypeAuth:
		s.tokens = append(s.tokens, command.Token)
		c.send(wire.Authed{Type: "authed", ID: command.ID})
	case wire.TypeLeave:
		c.joined = false
		c.send(wire.Left{Type: "left", ID: command.ID, Room: command.Room})
	case operation.NameDelete:
		c.send(wire.OK{Type: "ok", ID: command.ID, Seq: 99})
	case wire.TypeMembers:
		one := 1
		c.send(wire.Members{Type: "members", ID: command.ID, Room: command.Room, MemberCount: &one})
	}
}

// store is called with mu held, as joined is.
func (s *script) store(command wire.Command) chat.Seq {
	if seq, ok := s.nonces[command.Nonce]; ok {
		return seq
	}
	seq := chat.Seq(len(s.log) + 1)
	s.nonces[command.Nonce] = seq
	s.log = append(s.log, chat.Message{ID: seq, Author: chat.Author{ID: "u"}, Body: command.Body, Nonce: command.Nonce})
	for c := range s.conns {
		if c.joined {
			c.send(s.event(seq))
		}
	}
	return seq
}

func (s *script) event(seq chat.Seq) wire.Event {
	return wire.Event{Type: "message", Room: "a", Seq: seq, Message: wire.EventMessage{Message: s.log[seq-1]}}
}

func (s *script) joined(command wire.Command, recovered bool) wire.Joined {
	j := wire.Joined{Type: "joined", ID: command.ID, Room: chat.Room{Slug: "a", Log: "log"}, Cursor: chat.Seq(len(s.log)), Recovered: recovered}
	if recovered {
		for seq := *command.After + 1; int(seq) <= len(s.log); seq++ {
			frame, _ := json.Marshal(s.event(seq))
			j.Events = append(j.Events, frame)
		}
		return j
	}
	for _, message := range s.log {
		frame, _ := json.Marshal(message)
		j.Messages = append(j.Messages, frame)
	}
	return j
}

// say stores n messages of somebody else.
func (s *script) say(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.store(wire.Command{Nonce: fmt.Sprint("other", len(s.log)), Body: "other"})
	}
}

// sayUndelivered stores n messages that reach no open connection.
func (s *script) sayUndelivered(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := s.conns
	s.conns = nil
	for range n {
		s.store(wire.Command{Nonce: fmt.Sprint("other", len(s.log)), Body: "other"})
	}
	s.conns = open
}

// sendAll writes a frame to every connection.
func (s *script) sendAll(frame any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.send(frame)
	}
}

// cut drops all connections without a word; with a code it says why.
func (s *script) cut(code wire.CloseCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if code != 0 {
			_ = c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(int(code), ""), time.Now().Add(time.Second))
		}
		_ = c.conn.Close()
	}
}

func (s *script) dialled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

func (c *serverConn) send(frame any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.conn.WriteJSON(frame)
}

// recorder is a RoomHandler that records its calls.
type recorder struct {
	mu      sync.Mutex
	seqs    []chat.Seq
	bodies  []string
	joins   []Joined
	signals []string
	left    error
	changed chan struct{}
}

func newRecorder() *recorder { return &recorder{changed: make(chan struct{}, 1)} }

func (r *recorder) note(f func()) {
	r.mu.Lock()
	f()
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *recorder) Joined(joined Joined) { r.note(func() { r.joins = append(r.joins, joined) }) }

func (r *recorder) Entry(event wire.Event) {
	r.note(func() {
		r.seqs = append(r.seqs, event.Seq)
		r.bodies = append(r.bodies, event.Message.Body)
	})
}

func (r *recorder) Signal(kind string, _ []byte) {
	r.note(func() { r.signals = append(r.signals, kind) })
}

func (r *recorder) Left(why error) { r.note(func() { r.left = why }) }

// wait blocks until ok holds of what was recorded.
func (r *recorder) wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	for {
		r.mu.Lock()
		done := ok()
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-r.changed:
		case <-limit.C:
			r.mu.Lock()
			defer r.mu.Unlock()
			t.Fatalf("never: %s; seqs %v, %d joins, signals %v, left %v", what, r.seqs, len(r.joins), r.signals, r.left)
		}
	}
}

// contiguous fails unless the entries are first, first+1, ... and n of them.
func (r *recorder) contiguous(t *testing.T, first chat.Seq, n int) {
	t.Helper()
	r.wait(t, fmt.Sprintf("%d entries from %d on", n, first), func() bool { return len(r.seqs) >= n })
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, seq := range r.seqs {
		if seq != first+chat.Seq(i) {
			t.Fatalf("entry %d has seq %d: %v", i, seq, r.seqs)
		}
	}
	if len(r.seqs) != n {
		t.Fatalf("%d entries, not %d: %v", len(r.seqs), n, r.seqs)
	}
}
