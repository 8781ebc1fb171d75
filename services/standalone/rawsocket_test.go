package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/standalone/internal/contract"
)

// rawSocket speaks to the server without any manners.
type rawSocket struct {
	t       testing.TB
	conn    *websocket.Conn
	watched *contract.Socket
}

// dialRaw opens a socket with headers as "Name: value"; a refusal is the status.
func dialRaw(t testing.TB, s *server, headers ...string) (*rawSocket, int) {
	t.Helper()
	header := http.Header{}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		header.Set(name, value)
	}
	dialer := websocket.Dialer{NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if tcp, ok := conn.(*net.TCPConn); ok {
			err = errors.Join(err, tcp.SetReadBuffer(64<<10)) // so that one who does not read is soon noticed
		}
		return conn, err
	}}
	conn, response, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/ws", header)
	if err != nil {
		if response == nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		if err := s.traffic.Answer(http.MethodGet, "/ws", response); err != nil {
			t.Fatal(err)
		}
		return nil, response.StatusCode
	}
	if err := s.traffic.Answer(http.MethodGet, "/ws", response); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &rawSocket{t, conn, s.traffic.Socket()}, 0
}

func signedIn(t testing.TB, s *server, token string) *rawSocket {
	t.Helper()
	socket, refused := dialRaw(t, s, "Authorization: Bearer "+token)
	if refused != 0 {
		t.Fatal("refused:", refused)
	}
	if hello := socket.read(); hello["type"] != "hello" {
		t.Fatal(hello)
	}
	return socket
}

func (r *rawSocket) write(frame string) {
	r.t.Helper()
	r.watched.Wrote([]byte(frame))
	if err := r.conn.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
		r.t.Fatal(err)
	}
}

// read returns the next frame, or {"closed": code}.
func (r *rawSocket) read() map[string]any {
	r.t.Helper()
	_ = r.conn.SetReadDeadline(time.Now().Add(15 * time.Second))
	_, frame, err := r.conn.ReadMessage()
	if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
		if closed.Code != websocket.CloseAbnormalClosure { // which nobody sends
			r.watched.Closed(closed.Code)
		}
		return map[string]any{"closed": closed.Code}
	}
	if err != nil {
		return map[string]any{"broken": err.Error()}
	}
	r.watched.Read(frame)
	var got map[string]any
	if err := json.Unmarshal(frame, &got); err != nil {
		r.t.Fatalf("%q: %v", frame, err)
	}
	return got
}

// answer reads until the answer to id comes, past events.
func (r *rawSocket) answer(id int) map[string]any {
	r.t.Helper()
	for {
		got := r.read()
		if got["closed"] != nil || got["broken"] != nil || got["id"] == float64(id) {
			return got
		}
	}
}

// gets sends a command and fails unless the answer has that type or that code of an error.
func (r *rawSocket) gets(frame, want string) map[string]any {
	r.t.Helper()
	r.write(frame)
	var head struct {
		ID int `json:"id"`
	}
	if err := json.Unmarshal([]byte(frame), &head); err != nil {
		r.t.Fatal(frame, err)
	}
	got := r.answer(head.ID)
	if got["type"] != want && got["code"] != want {
		r.t.Errorf("%s: got %v, want %s", frame, got, want)
	}
	return got
}

// hears reads until events of these types have come, in whatever order.
func (r *rawSocket) hears(kinds ...string) {
	r.t.Helper()
	for len(kinds) > 0 {
		got := r.read()
		if got["closed"] != nil || got["broken"] != nil {
			r.t.Fatalf("got %v, want %v", got, kinds)
		}
		kinds = slices.DeleteFunc(kinds, func(kind string) bool { return kind == got["type"] })
	}
}

// closedWith reads until the socket is closed, and returns the code.
func (r *rawSocket) closedWith() any {
	r.t.Helper()
	for {
		if got := r.read(); got["closed"] != nil || got["broken"] != nil {
			return got["closed"]
		}
	}
}

// bystander is somebody who keeps talking, and notes the longest time between a message and its ack.
type bystander struct {
	t      *testing.T
	worst  time.Duration
	acked  int
	finish func()
}

func standBy(t *testing.T, s *server) *bystander {
	t.Helper()
	guest, err := s.api.Guest(t.Context(), "Bystander")
	if err != nil {
		t.Fatal(err)
	}
	socket := client.NewSocket(client.Options{Base: s.url, Tokens: s.api.Refresher(guest)})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := socket.Run(ctx); err != nil {
			t.Error("bystander:", err)
		}
	})
	if err := socket.Join(ctx, "general", client.JoinOptions{}, deaf{}); err != nil {
		t.Fatal(err)
	}
	b := &bystander{t: t}
	talking, quiet := context.WithCancel(ctx)
	var sending sync.WaitGroup
	sending.Go(func() {
		for talking.Err() == nil {
			start := time.Now()
			if _, err := socket.Send(ctx, "general", client.Outgoing{Body: "still here"}); err != nil {
				t.Error("bystander:", err)
				return
			}
			b.acked++
			b.worst = max(b.worst, time.Since(start))
			timer := time.NewTimer(150 * time.Millisecond) // within the limit of sends
			select {
			case <-timer.C:
			case <-talking.Done():
			}
		}
	})
	b.finish = sync.OnceFunc(func() {
		quiet()
		sending.Wait()
		stop()
		running.Wait()
	})
	t.Cleanup(b.finish)
	return b
}

// unharmed fails if the bystander noticed anything.
func (b *bystander) unharmed() {
	b.t.Helper()
	b.finish()
	if b.acked == 0 || b.worst > 2*time.Second {
		b.t.Errorf("the bystander sent %d messages and waited up to %s for one", b.acked, b.worst)
	}
}

// deaf is a client.RoomHandler that does nothing.
type deaf struct{}

func (deaf) Joined(client.Joined)  {}
func (deaf) Entry(wire.Event)      {}
func (deaf) Signal(string, []byte) {}
func (deaf) Left(error)            {}
