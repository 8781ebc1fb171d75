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

// ErrClosed is what commands return once Run has ended.
var ErrClosed = errors.New("the socket is closed")

// Handler hears what belongs to no room's log. The calls of a method come one at a time and in order;
// the socket waits for them, so they must not wait for its commands.
type Handler interface {
	// State tells that the socket is connected and all rooms are resumed, or else that it is not and
	// why; it then reconnects by itself.
	State(connected bool, why error)

	// Frame brings a frame of no room that one is in, whole: room_created, room_updated, room_deleted,
	// or a type that this client does not know.
	Frame(kind string, frame []byte)
}

// Options are what a Socket needs. Zero values are usable but for Base and Tokens.
type Options struct {
	Base    string // such as "https://chat.example.org"
	Tokens  TokenSource
	Handler Handler // may be nil
	// Dial opens connections; nil is a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Heard is shown every frame as it came, before anything is made of it; nil is nobody. Each
	// connection's come between two calls of Handler.State with false. It must not wait, nor keep the frame.
	Heard func(frame []byte)
	// AnswerTimeout is how long a command may go unanswered before it is sent again; 0 is 10 s.
	AnswerTimeout time.Duration
}

// Socket is one WebSocket that is kept connected, and the rooms joined on it. Its methods may be
// called at the same time; they wait while it is reconnecting, as long as their context allows.
type Socket struct {
	options Options
	ended   chan struct{} // closed when Run has ended

	// mu guards what follows and the fields of rooms that say so; it is never held while a handler
	// runs or a frame is written. It is taken before a link's.
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
		options.Handler = silent{}
	}
	return &Socket{options: options, ended: make(chan struct{}), rooms: map[chat.Slug]*room{}}
}

type silent struct{}

func (silent) State(bool, error)    {}
func (silent) Frame(string, []byte) {}

// Run connects, and reconnects whenever the connection is lost, until ctx ends (nil) or the token
// source has no token anymore (chat.CodeUnauthenticated). It is called once.
func (s *Socket) Run(ctx context.Context) error {
	defer close(s.ended)
	wait, stale := backoff{last: reconnectLast}, ""
	for {
		l, err := s.connect(ctx, stale)
		if err == nil {
			err = s.attend(ctx, l)
			if l.isResumed() {
				wait.reset() // not before: a server that takes connections and loses them again is no better than none
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
		if errors.Is(err, errMoved) && l.isResumed() {
			continue // the moment was random already
		}
		if sleep(ctx, wait.next(retryFloor(err))) != nil {
			return nil
		}
	}
}

// Cursor is how far a room's log was applied.
type Cursor struct {
	Log chat.LogID
	Seq chat.Seq
}

// Cursor returns how far the room was applied, false if it was never joined.
func (s *Socket) Cursor(slug chat.Slug) (Cursor, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[slug]
	if r == nil || r.cursor == nil {
		return Cursor{}, false
	}
	return *r.cursor, true
}

// attend serves a connection until it ends; the error says why it did.
func (s *Socket) attend(ctx context.Context, l *link) error {
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
			l.bye(wire.CloseNormal)
			<-read
			return ctx.Err()
		case <-l.wake:
		case <-timer.C:
			if l.moves() {
				l.bye(wire.CloseNormal)
				<-read
				return errMoved
			}
			s.renew(ctx, l)
			for _, r := range l.due(time.Now()) {
				s.sendJoin(l, r)
			}
		}
		timer.Reset(time.Until(l.nextDue()))
	}
}

// attach makes l the connection and asks for every room again, from its cursor.
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
	s.resumed(l, nil)
}

// resumed notes that r, if any, is back (or gone for good); the last one makes the socket connected.
func (s *Socket) resumed(l *link, r *room) {
	if l.isBack(r) {
		s.options.Handler.State(true, nil)
	}
}

func (s *Socket) detach(l *link) {
	s.mu.Lock()
	s.link = nil
	for _, r := range s.rooms {
		r.lost()
	}
	s.mu.Unlock()
	close(l.closed)
}

// renew shows the server a fresh token when the one in use is about to end. A failure costs nothing:
// the server closes the socket when its token ends, and the next connection needs a new one anyway.
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

// nonceOr makes a nonce up, with 130 random bits, where none was chosen.
func nonceOr(nonce string) string {
	if nonce == "" {
		return rand.Text()
	}
	return nonce
}
