package servertest

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
	"github.com/parley-chat/parley/test/contract"
)

// Socket speaks to the server without any manners.
type Socket struct {
	T       testing.TB
	Conn    *websocket.Conn
	Watched *contract.Socket
}

// DialRaw opens a socket with headers as "Name: value"; a refusal is the status.
func DialRaw(t testing.TB, s *Server, headers ...string) (*Socket, int) {
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
	conn, response, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http")+"/ws", header)
	if err != nil {
		if response == nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		if err := s.Traffic.Answer(http.MethodGet, "/ws", response); err != nil {
			t.Fatal(err)
		}
		return nil, response.StatusCode
	}
	if err := s.Traffic.Answer(http.MethodGet, "/ws", response); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &Socket{t, conn, s.Traffic.Socket()}, 0
}

// SignedIn opens a socket with a token.
func SignedIn(t testing.TB, s *Server, token string) *Socket {
	t.Helper()
	socket, refused := DialRaw(t, s, "Authorization: Bearer "+token)
	if refused != 0 {
		t.Fatal("refused:", refused)
	}
	if hello := socket.Read(); hello["type"] != "hello" {
		t.Fatal(hello)
	}
	return socket
}

func (r *Socket) Write(frame string) {
	r.T.Helper()
	r.Watched.Wrote([]byte(frame))
	if err := r.Conn.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
		r.T.Fatal(err)
	}
}

// Read returns the next frame, or {"closed": code}.
func (r *Socket) Read() map[string]any {
	r.T.Helper()
	_ = r.Conn.SetReadDeadline(time.Now().Add(time.Minute))
	_, frame, err := r.Conn.ReadMessage()
	if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
		if closed.Code != websocket.CloseAbnormalClosure { // which nobody sends
			r.Watched.Closed(closed.Code)
		}
		return map[string]any{"closed": closed.Code}
	}
	if err != nil {
		return map[string]any{"broken": err.Error()}
	}
	r.Watched.Read(frame)
	var got map[string]any
	if err := json.Unmarshal(frame, &got); err != nil {
		r.T.Fatalf("%q: %v", frame, err)
	}
	return got
}

// Answer reads until the answer to id comes, past events.
func (r *Socket) Answer(id int) map[string]any {
	r.T.Helper()
	for {
		got := r.Read()
		if got["closed"] != nil || got["broken"] != nil || got["id"] == float64(id) {
			return got
		}
	}
}

// Gets sends a command and fails unless the answer has that type or that code of an error. What has a nonce is sent
// again, as clients do, when a busy machine leaves its outcome unknown.
func (r *Socket) Gets(frame, want string) map[string]any {
	r.T.Helper()
	r.Write(frame)
	var head struct {
		ID    int    `json:"id"`
		Nonce string `json:"nonce"`
	}
	if err := json.Unmarshal([]byte(frame), &head); err != nil {
		r.T.Fatal(frame, err)
	}
	got := r.Answer(head.ID)
	for range 10 {
		if got["code"] != "unavailable" || want != "sent" && want != "ok" || head.Nonce == "" {
			break
		}
		r.Write(frame)
		got = r.Answer(head.ID)
	}
	if got["type"] != want && got["code"] != want {
		r.T.Errorf("%s: got %v, want %s", frame, got, want)
	}
	return got
}

// Receives reads until events of these types have come, in whatever order.
func (r *Socket) Receives(kinds ...string) {
	r.T.Helper()
	for len(kinds) > 0 {
		got := r.Read()
		if got["closed"] != nil || got["broken"] != nil {
			r.T.Fatalf("got %v, want %v", got, kinds)
		}
		kinds = slices.DeleteFunc(kinds, func(kind string) bool { return kind == got["type"] })
	}
}

// ClosedWith reads until the socket is closed, and returns the code.
func (r *Socket) ClosedWith() any {
	r.T.Helper()
	for {
		if got := r.Read(); got["closed"] != nil || got["broken"] != nil {
			return got["closed"]
		}
	}
}

// Bystander is somebody who keeps talking, and notes the longest time between a message and its ack.
type Bystander struct {
	t      *testing.T
	worst  time.Duration
	acked  int
	finish func()
}

// StandBy has somebody talk until the test ends.
func StandBy(t *testing.T, s *Server) *Bystander {
	t.Helper()
	guest, err := s.API.Guest(t.Context(), "Bystander")
	if err != nil {
		t.Fatal(err)
	}
	socket := client.NewSocket(client.Options{Base: s.URL, Tokens: s.API.Refresher(guest)})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := socket.Run(ctx); err != nil {
			t.Error("bystander:", err)
		}
	})
	if err := socket.Join(ctx, "general", client.JoinOptions{}, ignore{}); err != nil {
		t.Fatal(err)
	}
	b := &Bystander{t: t}
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

// Unharmed fails if the bystander noticed anything: whoever is made to wait for a reader waits for 20 s.
func (b *Bystander) Unharmed() {
	b.t.Helper()
	b.finish()
	if b.acked == 0 || b.worst > LateAtLast {
		b.t.Errorf("the bystander sent %d messages and waited up to %s for one", b.acked, b.worst)
	}
}

// ignore is a client.RoomHandler that does nothing.
type ignore struct{}

func (ignore) Joined(client.Joined)  {}
func (ignore) Entry(wire.Event)      {}
func (ignore) Signal(string, []byte) {}
func (ignore) Left(error)            {}
