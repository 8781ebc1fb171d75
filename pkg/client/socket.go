package client

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
)

// ErrClosed is returned by commands after Run has ended.
var ErrClosed = errors.New("the socket is closed")

// Handler handles what does not belong to a joined room. The socket calls each method one call at a time and in
// order, and waits for it, so a handler must not wait for commands of the same socket.
type Handler interface {
	// State is called with true once the socket is connected and has resumed all rooms, and with false and the
	// reason when it is not. The socket then reconnects by itself.
	State(connected bool, why error)

	// Frame is called with each frame that belongs to no joined room: room_created, room_updated, room_deleted,
	// or a type that this client does not know.
	Frame(kind string, frame []byte)
}

// Options configure a Socket. Only Base and Tokens are required.
type Options struct {
	Base    string // such as "https://chat.example.org"
	Tokens  TokenSource
	Handler Handler // may be nil
	// Dial opens connections; nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// OnFrame, if not nil, is called with every frame before the socket handles it. Between two connections
	// Handler.State is called with false. OnFrame must not block, and must not keep the frame.
	OnFrame func(frame []byte)
	// AnswerTimeout is how long the socket waits for an answer before it sends a command again; 0 means 10 s.
	AnswerTimeout time.Duration
}

// Socket is one WebSocket that reconnects, and the rooms joined on it. Its methods are safe for concurrent use. They
// wait while the socket is reconnecting, until their context ends.
type Socket struct {
	options Options
	ended   chan struct{} // closed when Run has ended

	// mu guards the fields below, and the fields of rooms that say so. It is never held while a handler
	// runs or a frame is written. Lock order: mu before a link's mu.
	mu     sync.Mutex
	rooms  map[chat.Slug]*room
	link   *link // nil while there is no connection
	lastID int64
}

// NewSocket makes a socket; Run connects it.
func NewSocket(options Options) *Socket {
	if options.AnswerTimeout == 0 {
		options.AnswerTimeout = 10 * time.Second
	}
	if options.Handler == nil {
		options.Handler = noHandler{}
	}
	return &Socket{options: options, ended: make(chan struct{}), rooms: map[chat.Slug]*room{}}
}

type noHandler struct{}

func (noHandler) State(bool, error)    {}
func (noHandler) Frame(string, []byte) {}

// Run connects, and reconnects whenever the connection is lost. It returns nil when ctx ends, and
// chat.CodeUnauthenticated when the token source has no more tokens. Call it once.
func (s *Socket) Run(ctx context.Context) error {
	defer close(s.ended)
	wait, stale := backoff{longest: reconnectMax}, ""
	for {
		l, err := s.connect(ctx, stale)
		if err == nil {
			err = s.serve(ctx, l)
			if l.isResumed() {
				wait.reset() // not earlier: a server may accept connections and lose them at once
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errNoToken) {
			return err
		}
		s.options.Handler.State(false, err)
		stale = staleToken(err)
		if errors.Is(err, errDrained) && l.isResumed() {
			continue // no backoff: moveAway has already chosen a random time
		}
		if sleep(ctx, wait.next(retryFloor(err))) != nil {
			return nil
		}
	}
}

// Cursor is a position in a room's log: the last entry that was applied.
type Cursor struct {
	Log chat.LogID
	Seq chat.Seq
}

// Cursor returns the room's cursor, and false if the room was never joined.
func (s *Socket) Cursor(slug chat.Slug) (Cursor, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[slug]
	if r == nil || r.cursor == nil {
		return Cursor{}, false
	}
	return *r.cursor, true
}

// serve serves a connection until it ends, and returns why it ended.
func (s *Socket) serve(ctx context.Context, l *link) error {
	s.attach(l)
	var lost error
	read := make(chan struct{})
	go func() {
		defer close(read)
		lost = s.read(l)
		s.detach(l)
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-read:
			return &lostError{token: l.token.Access, cause: lost}
		case <-ctx.Done():
			l.close(wire.CloseNormal)
			<-read
			return ctx.Err()
		case <-l.wake:
		case <-timer.C:
			if l.mustMove() {
				l.close(wire.CloseNormal)
				<-read
				return errDrained
			}
			s.renew(ctx, l)
			for _, r := range l.takeRejoins(time.Now()) {
				s.sendJoin(l, r)
			}
		}
		timer.Reset(time.Until(l.nextDue()))
	}
}

// attach makes l the current connection, and joins every room again from its cursor.
func (s *Socket) attach(l *link) {
	s.mu.Lock()
	s.link = l
	rooms := make([]*room, 0, len(s.rooms))
	for _, r := range s.rooms {
		rooms = append(rooms, r)
	}
	s.mu.Unlock()
	l.expectRooms(rooms)
	for _, r := range rooms {
		s.sendJoin(l, r)
	}
	s.roomSettled(l, nil)
}

// roomSettled records that r is joined again, or removed. After the last room the socket counts as connected. A nil r
// stands for no room, for a socket without rooms.
func (s *Socket) roomSettled(l *link, r *room) {
	if l.roomSettled(r) {
		s.options.Handler.State(true, nil)
	}
}

func (s *Socket) detach(l *link) {
	s.mu.Lock()
	s.link = nil
	for _, r := range s.rooms {
		r.disconnected()
	}
	s.mu.Unlock()
	close(l.closed)
}

// renew sends the server a new token when the current one is about to expire. It ignores failures: the server closes
// the socket when its token expires, and the next connection gets a new token anyway.
func (s *Socket) renew(ctx context.Context, l *link) {
	if l.renewAt.IsZero() || time.Now().Before(l.renewAt) {
		return
	}
	l.renewAt = time.Now().Add(renewRetry)
	ctx, cancel := context.WithTimeout(ctx, s.options.AnswerTimeout)
	defer cancel()
	token, err := s.options.Tokens.Token(ctx, l.token.Access)
	if err != nil {
		return
	}
	command := wire.Command{Type: wire.TypeAuth, Token: token.Access}
	if _, err := s.call(ctx, l, command); err == nil {
		l.token, l.renewAt = token, renewAt(token)
	}
}

func (s *Socket) nextID() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	return s.lastID
}

// nonceOr returns nonce, or a random one of 130 bits if it is empty.
func nonceOr(nonce string) string {
	if nonce == "" {
		return rand.Text()
	}
	return nonce
}
