package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/parley-chat/parley/pkg/wire"
)

var (
	errLost    = errors.New("the connection was lost")
	errMoved   = errors.New("the server is draining")
	errNoToken = errors.New("no access token")
)

const (
	handshakeTimeout = 10 * time.Second
	writeTimeout     = 10 * time.Second
	renewRetry       = 5 * time.Second
	floodPause       = time.Second
	socketBuffer     = 1024 // bytes, each way; longer frames are fragmented
)

// link is one connection.
type link struct {
	conn      *websocket.Conn
	heartbeat time.Duration
	wake      chan struct{} // tells attend to look at retries and moveAt again
	closed    chan struct{}

	// These belong to the goroutine of Run.
	token   Token
	renewAt time.Time // zero: never

	writing sync.Mutex // one frame at a time; taken with nothing else held

	mu       sync.Mutex
	waiting  map[int64]waiter
	retries  map[*room]time.Time // when to ask for a room again
	moveAt   time.Time           // when to leave a draining server, zero: it is not
	resuming map[*room]bool      // rooms of before the connection not yet joined again
	resumed  bool
}

// waiter is who waits for the answer to a command: a caller, or a room that was asked for.
type waiter struct {
	answer chan<- answer
	room   *room
}

type answer struct {
	frame []byte
	err   error
}

// alive puts off the moment at which a silent connection counts as lost: two missed heartbeats.
func (l *link) alive() {
	if l.heartbeat > 0 {
		_ = l.conn.SetReadDeadline(time.Now().Add(2*l.heartbeat + writeTimeout))
	}
}

// read handles frames until the connection ends; the error says why.
func (s *Socket) read(l *link) error {
	defer func() { _ = l.conn.Close() }()
	for {
		kind, frame, err := l.conn.ReadMessage()
		if err != nil {
			return err
		}
		l.alive()
		if kind != websocket.TextMessage {
			continue // not of this protocol
		}
		if s.options.Heard != nil {
			s.options.Heard(frame)
		}
		if err := s.handle(l, frame); err != nil {
			return err
		}
	}
}

// write sends a frame. A failure ends the connection.
func (l *link) write(command wire.Command) error {
	frame, err := json.Marshal(command)
	if err != nil {
		return fmt.Errorf("encode %s: %w", command.Type, err)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	_ = l.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err := l.conn.WriteMessage(websocket.TextMessage, frame); err != nil {
		_ = l.conn.Close() // the reader notices
		return errLost
	}
	return nil
}

// bye closes the connection politely; the reader ends.
func (l *link) bye(code wire.CloseCode) {
	message := websocket.FormatCloseMessage(int(code), "")
	_ = l.conn.WriteControl(websocket.CloseMessage, message, time.Now().Add(time.Second))
	_ = l.conn.Close()
}

// call sends a command and waits for its answer; errLost says that none came in time, nor will.
func (s *Socket) call(ctx context.Context, l *link, command wire.Command) ([]byte, error) {
	id := s.nextID()
	command.ID = &id
	answers := make(chan answer, 1)
	l.expect(id, waiter{answer: answers})
	defer l.forget(id)
	if err := l.write(command); err != nil && !errors.Is(err, errLost) {
		return nil, err
	}
	timeout := time.NewTimer(s.options.AnswerTimeout)
	defer timeout.Stop()
	select {
	case a := <-answers:
		return a.frame, a.err
	case <-l.closed:
		return nil, errLost
	case <-timeout.C:
		return nil, errLost
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *link) expect(id int64, w waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting[id] = w
}

func (l *link) forget(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, id)
}

// take returns who waits for the answer id, once.
func (l *link) take(id int64) (waiter, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, ok := l.waiting[id]
	delete(l.waiting, id)
	return w, ok
}

// retry asks for r again at a later moment; the zero moment takes that back.
func (l *link) retry(r *room, at time.Time) {
	l.mu.Lock()
	if at.IsZero() {
		delete(l.retries, r)
	} else {
		l.retries[r] = at
	}
	l.mu.Unlock()
	l.nudge()
}

// expectRooms notes the rooms that are to come back.
func (l *link) expectRooms(rooms []*room) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range rooms {
		l.resuming[r] = true
	}
}

// isBack notes that r is back and says whether it was the last to come.
func (l *link) isBack(r *room) (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.resuming, r)
	last = len(l.resuming) == 0 && !l.resumed
	l.resumed = l.resumed || last
	return last
}

func (l *link) isResumed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.resumed
}

func (l *link) move(at time.Time) {
	l.mu.Lock()
	l.moveAt = at
	l.mu.Unlock()
	l.nudge()
}

func (l *link) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *link) moves() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.moveAt.IsZero() && !time.Now().Before(l.moveAt)
}

// due takes the rooms that are to be asked for now.
func (l *link) due(now time.Time) []*room {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rooms []*room
	for r, at := range l.retries {
		if !now.Before(at) {
			rooms = append(rooms, r)
			delete(l.retries, r)
		}
	}
	return rooms
}

// nextDue is when attend has something to do next.
func (l *link) nextDue() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := time.Now().Add(time.Hour)
	earlier := func(at time.Time) {
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	earlier(l.renewAt)
	earlier(l.moveAt)
	for _, at := range l.retries {
		earlier(at)
	}
	return next
}

// renewAt is when a token is renewed: when a fifth of its life is left, a minute at most.
func renewAt(token Token) time.Time {
	if token.Expires.IsZero() {
		return time.Time{}
	}
	return token.Expires.Add(-min(time.Minute, time.Until(token.Expires)/5))
}
