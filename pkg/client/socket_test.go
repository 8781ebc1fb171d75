package client

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/wire"
)

// start runs a socket against s until the test ends, and then looks for leaked goroutines.
func start(t *testing.T, s *script, tokens TokenSource) (*Socket, chan error) {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) }) // runs last
	t.Cleanup(s.server.Close)
	socket := NewSocket(Options{Base: s.server.URL, Tokens: tokens, AnswerTimeout: 300 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() {
		ran <- socket.Run(ctx)
		close(ran)
	}()
	t.Cleanup(func() {
		stop()
		for range ran {
		}
	})
	return socket, ran
}

// pause lets d go by.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	if err := sleep(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func join(t *testing.T, socket *Socket, options JoinOptions) *recorder {
	t.Helper()
	r := newRecorder()
	if err := socket.Join(within(t), "a", options, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestLiveEntriesInOrder(t *testing.T) {
	s := newScript(t)
	s.say(3)
	socket, _ := start(t, s, StaticToken("good"))
	r := join(t, socket, JoinOptions{})
	if got := r.joins[0]; got.Recovered || got.Cursor != 3 || len(got.Messages) != 3 || got.Messages[2].Body != "other" {
		t.Errorf("joined %+v", got)
	}
	s.say(5)
	r.contiguous(t, 4, 5)
	if id, err := socket.Send(within(t), "a", Outgoing{Body: "mine"}); id != 9 || err != nil {
		t.Error(id, err)
	}
	r.contiguous(t, 4, 6)
	if cursor, ok := socket.Cursor("a"); !ok || cursor != (Cursor{Log: "log", Seq: 9}) {
		t.Error(cursor, ok)
	}
}

func TestResumesByCursor(t *testing.T) {
	s := newScript(t)
	socket, _ := start(t, s, StaticToken("good"))
	r := join(t, socket, JoinOptions{After: &Cursor{Log: "log"}})
	s.say(2)
	r.contiguous(t, 1, 2)
	s.cut(0)
	s.sayUndelivered(3)
	r.contiguous(t, 1, 5)
	if again := s.joins[len(s.joins)-1]; *again.After != 2 || again.Log != "log" {
		t.Errorf("joined again with %+v", again)
	}
	s.say(1)
	r.contiguous(t, 1, 6)
}

func TestDropsWhatItHasAndFillsGaps(t *testing.T) {
	s := newScript(t)
	socket, _ := start(t, s, StaticToken("good"))
	r := join(t, socket, JoinOptions{})
	s.say(2)
	r.contiguous(t, 1, 2)
	s.sendAll(s.event(1)) // a double
	s.sendAll(s.event(2))
	s.say(1)
	r.contiguous(t, 1, 3)
	s.sayUndelivered(2) // 4 and 5 never come
	s.say(1)            // so 6 shows a gap
	r.contiguous(t, 1, 6)
	if n := s.dialled(); n != 1 {
		t.Errorf("%d connections: a gap needs no new one", n)
	}
}

func TestSaysWhenNotRecovered(t *testing.T) {
	s := newScript(t)
	socket, _ := start(t, s, StaticToken("good"))
	r := join(t, socket, JoinOptions{})
	s.say(2)
	r.contiguous(t, 1, 2)
	s.mu.Lock()
	s.on = func(c *serverConn, command wire.Command) bool {
		if command.Type != wire.TypeJoin {
			return false
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		c.joined = true
		c.send(s.joined(command, false))
		return true
	}
	s.mu.Unlock()
	s.sayUndelivered(7)
	s.cut(0)
	r.wait(t, "a second join", func() bool { return len(r.joins) == 2 })
	if got := r.joins[1]; got.Recovered || got.Cursor != 9 || len(got.Messages) != 9 {
		t.Errorf("%+v", got)
	}
	s.say(1)
	r.wait(t, "entry 10", func() bool { return slices.Equal(r.seqs, []chat.Seq{1, 2, 10}) })
}

// An answer is lost in every way there is, and the message is stored once all the same, in order.
func TestSendsOnceWhateverHappens(t *testing.T) {
	for name, harm := range map[string]func(s *script, c *serverConn, command wire.Command){
		"connection lost before it was stored": func(_ *script, c *serverConn, _ wire.Command) { _ = c.conn.Close() },
		"connection lost after it was stored": func(s *script, c *serverConn, command wire.Command) {
			s.mu.Lock()
			s.store(command)
			s.mu.Unlock()
			_ = c.conn.Close()
		},
		"unavailable": func(_ *script, c *serverConn, command wire.Command) {
			c.send(wire.NewError(command.ID, chat.Errorf(chat.CodeUnavailable, "busy")))
		},
		"internal after it was stored": func(s *script, c *serverConn, command wire.Command) {
			s.mu.Lock()
			s.store(command)
			s.mu.Unlock()
			c.send(wire.NewError(command.ID, errors.New("oops")))
		},
		"no answer": func(*script, *serverConn, wire.Command) {},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			var harmed bool
			s.on = func(c *serverConn, command wire.Command) bool {
				if command.Type != operation.NameSend || command.Body != "2" || harmed {
					return false
				}
				harmed = true
				harm(s, c, command)
				return true
			}
			socket, _ := start(t, s, StaticToken("good"))
			r := join(t, socket, JoinOptions{})
			ctx := within(t)
			for i, body := range []string{"1", "2", "3"} {
				if id, err := socket.Send(ctx, "a", Outgoing{Body: body}); err != nil || id != chat.Seq(i+1) {
					t.Fatalf("send %s: %d, %v", body, id, err)
				}
			}
			r.contiguous(t, 1, 3)
			if !slices.Equal(r.bodies, []string{"1", "2", "3"}) {
				t.Error(r.bodies)
			}
			if !harmed {
				t.Error("the test harmed nothing")
			}
		})
	}
}

func TestSendsOfOneRoomKeepTheirOrder(t *testing.T) {
	s := newScript(t)
	var failures int
	s.on = func(c *serverConn, command wire.Command) bool {
		if command.Type != operation.NameSend || failures == 4 {
			return false
		}
		failures++
		c.send(wire.NewError(command.ID, chat.Errorf(chat.CodeUnavailable, "busy")))
		return true
	}
	socket, _ := start(t, s, StaticToken("good"))
	r := join(t, socket, JoinOptions{})
	ctx, bodies := within(t), []string{"a", "b", "c", "d", "e"}
	var sending sync.WaitGroup
	for _, body := range bodies {
		sending.Go(func() {
			if _, err := socket.Send(ctx, "a", Outgoing{Body: body}); err != nil {
				t.Error(err)
			}
		})
		pause(t, 20*time.Millisecond) // the order of the calls is the test's to make sure
	}
	sending.Wait()
	r.contiguous(t, 1, len(bodies))
	if !slices.Equal(r.bodies, bodies) {
		t.Error(r.bodies)
	}
}

func TestRefusalIsReturnedAndNotTriedAgain(t *testing.T) {
	s := newScript(t)
	var tries int
	s.on = func(c *serverConn, command wire.Command) bool {
		if command.Type == operation.NameSend {
			tries++
			c.send(wire.NewError(command.ID, chat.Errorf(chat.CodeForbidden, "no")))
			return true
		}
		return false
	}
	socket, _ := start(t, s, StaticToken("good"))
	join(t, socket, JoinOptions{})
	if _, err := socket.Send(within(t), "a", Outgoing{Body: "x"}); chat.CodeOf(err) != chat.CodeForbidden || tries != 1 {
		t.Error(err, tries)
	}
	if _, err := socket.Send(within(t), "b", Outgoing{Body: "x"}); chat.CodeOf(err) != chat.CodeForbidden {
		t.Error("a room not joined:", err)
	}
}

func TestJoinRefusedAndTakenOut(t *testing.T) {
	s := newScript(t)
	refuse := true
	s.on = func(c *serverConn, command wire.Command) bool {
		if command.Type == wire.TypeJoin && refuse {
			c.send(wire.NewError(command.ID, chat.Errorf(chat.CodeNotFound, "no such room")))
			return true
		}
		return false
	}
	socket, _ := start(t, s, StaticToken("good"))
	if err := socket.Join(within(t), "a", JoinOptions{}, newRecorder()); chat.CodeOf(err) != chat.CodeNotFound {
		t.Fatal(err)
	}
	refuse = false
	r := join(t, socket, JoinOptions{})
	s.sendAll(wire.Kicked{Type: "kicked", Room: "a", Reason: "banned"})
	r.wait(t, "left", func() bool { return r.left != nil })
	if _, err := socket.Send(within(t), "a", Outgoing{Body: "x"}); chat.CodeOf(err) != chat.CodeForbidden {
		t.Error(err)
	}
}

func TestUnknownTypesMoveTheCursorOrAreHanded(t *testing.T) {
	s := newScript(t)
	socket, _ := start(t, s, StaticToken("good"))
	r := join(t, socket, JoinOptions{})
	s.sendAll(map[string]any{"type": "pinned", "room": "a", "seq": 1, "message": "of another form", "more": []int{1}})
	s.sendAll(map[string]any{"type": "poked", "room": "a", "by": "x"})
	s.sendAll(map[string]any{"type": "weather", "news": 1})
	r.contiguous(t, 1, 1)
	r.wait(t, "signal", func() bool { return slices.Equal(r.signals, []string{"poked"}) })
	if n := s.dialled(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestMovesWhenTheServerDrains(t *testing.T) {
	s := newScript(t)
	socket, _ := start(t, s, StaticToken("good"))
	r := join(t, socket, JoinOptions{})
	s.say(1)
	r.contiguous(t, 1, 1)
	s.sendAll(wire.Draining{Type: "draining", AfterMS: 100})
	r.wait(t, "a second join", func() bool { return len(r.joins) == 2 })
	s.cut(wire.CloseDrained)
	r.wait(t, "a third join", func() bool { return len(r.joins) == 3 })
	s.say(1)
	r.contiguous(t, 1, 2)
}

func TestHonoursRetryAfter(t *testing.T) {
	s := newScript(t)
	var first, second time.Time
	s.refuse = func(dial int, w http.ResponseWriter) bool {
		if dial > 1 {
			second = time.Now()
			return false
		}
		first = time.Now()
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"error":{"code":"unavailable","message":"draining","retry_after_ms":700}}`))
		return true
	}
	socket, _ := start(t, s, StaticToken("good"))
	join(t, socket, JoinOptions{})
	if waited := second.Sub(first); waited < 700*time.Millisecond {
		t.Errorf("came back after %s", waited)
	}
}

func TestBackoffIsResetByAResumeOnly(t *testing.T) {
	wait := backoff{longest: reconnectMax}
	longest := func() time.Duration {
		var most time.Duration
		for range 200 {
			probe := wait
			most = max(most, probe.next(0))
		}
		return most
	}
	if got := longest(); got > backoffBase {
		t.Error("first", got)
	}
	for range 20 {
		wait.next(0)
	}
	if got := longest(); got > reconnectMax || got < reconnectMax/2 {
		t.Error("later", got)
	}

	// A server that says hello and hangs up must be left alone more and more.
	s := newScript(t)
	s.on = func(c *serverConn, _ wire.Command) bool {
		_ = c.conn.Close()
		return true
	}
	socket, _ := start(t, s, StaticToken("good"))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := socket.Join(ctx, "a", JoinOptions{}, newRecorder()); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if n := s.dialled(); n < 2 || n > 15 {
		t.Errorf("%d connections in 3 s", n)
	}
}

func TestContextEndsEveryWait(t *testing.T) {
	s := newScript(t)
	s.on = func(*serverConn, wire.Command) bool { return true } // answers nothing
	socket, _ := start(t, s, StaticToken("good"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := socket.Join(ctx, "a", JoinOptions{}, newRecorder()); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestLeaveAndAsk(t *testing.T) {
	s := newScript(t)
	socket, _ := start(t, s, StaticToken("good"))
	join(t, socket, JoinOptions{})
	if _, n, err := socket.Members(within(t), "a"); err != nil || n == nil || *n != 1 {
		t.Error(n, err)
	}
	if seq, err := socket.Delete(within(t), "a", 1); err != nil || seq != 99 {
		t.Error(seq, err)
	}
	if err := socket.Leave(within(t), "a"); err != nil {
		t.Error(err)
	}
	s.say(1)
	if r := join(t, socket, JoinOptions{}); r.joins[0].Cursor != 1 {
		t.Errorf("%+v", r.joins[0])
	}
}
