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
	errDrained = errors.New("the server is draining")
	errNoToken = errors.New("no access token")
)

const (
	handshakeTimeout = 10 * time.Second
	writeTimeout     = 10 * time.Second
	renewRetry       = 5 * time.Second
	floodDelay       = time.Second // before the reconnect after the server closed a socket for flooding
	socketBuffer     = 1024        // bytes, each way; longer frames are fragmented
)

// link is one connection.
type link struct {
	conn      *websocket.Conn
	heartbeat time.Duration
	wake      chan struct{} // makes serve reset its timer
	closed    chan struct{}

	// Only the goroutine of Run uses these.
	token   Token
	renewAt time.Time // zero: never

	writeMu sync.Mutex // one frame at a time; no other lock is held when it is taken

	mu          sync.Mutex
	waiters     map[int64]waiter    // by the id of the command
	rejoinAt    map[*room]time.Time // when to send a room's join again
	moveAt      time.Time           // when to leave a draining server; zero: it is not draining
	rejoining   map[*room]bool      // rooms from before the connection that are not joined again yet
	allRejoined bool
}

// waiter waits for the answer to a command. It is a caller, or a room whose join was sent.
type waiter struct {
	answer chan<- answer
	room   *room
}

type answer struct {
	frame []byte
	err   error
}

// extendDeadline moves the time at which a silent connection counts as lost: after two missed heartbeats.
func (l *link) extendDeadline() {
	if l.heartbeat > 0 {
		_ = l.conn.SetReadDeadline(time.Now().Add(2*l.heartbeat + writeTimeout))
	}
}

// read handles frames until the connection ends, and returns why it ended.
func (s *Socket) read(l *link) error {
	defer func() { _ = l.conn.Close() }()
	for {
		kind, frame, err := l.conn.ReadMessage()
		if err != nil {
			return err
		}
		l.extendDeadline()
		if kind != websocket.TextMessage {
			continue // the protocol has no binary frames
		}
		if s.options.OnFrame != nil {
			s.options.OnFrame(frame)
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
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	_ = l.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err := l.conn.WriteMessage(websocket.TextMessage, frame); err != nil {
		_ = l.conn.Close() // read returns and ends the connection
		return errLost
	}
	return nil
}

// close sends a close frame and closes the connection, so that read returns.
func (l *link) close(code wire.CloseCode) {
	message := websocket.FormatCloseMessage(int(code), "")
	_ = l.conn.WriteControl(websocket.CloseMessage, message, time.Now().Add(time.Second))
	_ = l.conn.Close()
}

// call sends a command and waits for its answer. It returns errLost if no answer will come, or none came in time.
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
	l.waiters[id] = w
}

func (l *link) forget(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiters, id)
}

// takeWaiter removes and returns the waiter for the answer with that id.
func (l *link) takeWaiter(id int64) (waiter, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, ok := l.waiters[id]
	delete(l.waiters, id)
	return w, ok
}

// scheduleRejoin sends the join of r again at a later time. The zero time cancels that.
func (l *link) scheduleRejoin(r *room, at time.Time) {
	l.mu.Lock()
	if at.IsZero() {
		delete(l.rejoinAt, r)
	} else {
		l.rejoinAt[r] = at
	}
	l.mu.Unlock()
	l.wakeUp()
}

// expectRooms records the rooms that must be joined again before the socket counts as connected.
func (l *link) expectRooms(rooms []*room) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range rooms {
		l.rejoining[r] = true
	}
}

// roomSettled records that r is joined again, or removed. It reports whether r was the last room to settle.
func (l *link) roomSettled(r *room) (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.rejoining, r)
	last = len(l.rejoining) == 0 && !l.allRejoined
	l.allRejoined = l.allRejoined || last
	return last
}

func (l *link) isResumed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.allRejoined
}

// moveAway ends the connection at a later time, because the server is draining.
func (l *link) moveAway(at time.Time) {
	l.mu.Lock()
	l.moveAt = at
	l.mu.Unlock()
	l.wakeUp()
}

func (l *link) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *link) mustMove() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.moveAt.IsZero() && !time.Now().Before(l.moveAt)
}

// takeRejoins removes and returns the rooms whose join is due now.
func (l *link) takeRejoins(now time.Time) []*room {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rooms []*room
	for r, at := range l.rejoinAt {
		if !now.Before(at) {
			rooms = append(rooms, r)
			delete(l.rejoinAt, r)
		}
	}
	return rooms
}

// nextDue returns when serve has something to do next.
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
	for _, at := range l.rejoinAt {
		earlier(at)
	}
	return next
}

// renewAt returns when to renew a token: a fifth of its remaining life before it expires, but at most a minute.
func renewAt(token Token) time.Time {
	if token.Expires.IsZero() {
		return time.Time{}
	}
	return token.Expires.Add(-min(time.Minute, time.Until(token.Expires)/5))
}
