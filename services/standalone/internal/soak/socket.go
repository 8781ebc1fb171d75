//go:build linux

package soak

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/wire"
)

// stay is a visitor's time on one socket.
type stay struct {
	visitor *visitor
	socket  *client.Socket
	keeper  *client.Refresher
	line    *line
	in      []chat.Slug
	mine    map[chat.Slug]chat.Seq // its newest message of each room
}

// bySocket opens a socket, joins rooms, does this and that for a while, and leaves in one of many ways.
func (v *visitor) bySocket(ctx context.Context) {
	c := v.crowd
	signIn, ok := v.signIn(ctx)
	if !ok {
		return
	}
	s := &stay{visitor: v, keeper: c.api.Refresher(signIn), line: &line{}, mine: map[chat.Slug]chat.Seq{}}
	s.socket = client.NewSocket(client.Options{Base: c.base, Tokens: s.keeper, Dial: s.line.dial, AnswerTimeout: answerTimeout})
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // it leaves in its own way, also at the end
	var sockets sync.WaitGroup
	sockets.Go(func() { _ = s.socket.Run(running) })
	defer sockets.Wait()
	defer stop()
	c.notes.tell("sockets", nil)
	for _, room := range c.rooms.some(v.random, 1+v.random.IntN(5)) {
		s.join(ctx, room)
	}
	until := time.Now().Add(v.about(40 * time.Second))
	for time.Now().Before(until) && pause(ctx, v.about(2*time.Second)) == nil {
		v.choose(ctx, []choice{
			{30, s.send}, {8, s.edit}, {8, s.remove}, {12, s.writes}, {6, s.members}, {8, s.history}, {6, s.leave}, {2, s.blip}, {10, func(context.Context) {}},
		})
	}
	v.choose(ctx, []choice{
		{8, func(context.Context) {}}, // says goodbye
		{4, func(context.Context) { s.line.cut(); c.notes.tell("left without a word", nil) }},
		{2, s.freeze},
		{4, func(ctx context.Context) { v.logOut(ctx, s.keeper) }}, // the server closes it
	})
}

func (s *stay) join(ctx context.Context, room chat.Slug) {
	ctx, cancel := context.WithTimeout(ctx, 2*answerTimeout)
	defer cancel()
	if err := s.socket.Join(ctx, room, client.JoinOptions{Limit: 1 + s.visitor.random.IntN(50)}, deaf{}); s.visitor.crowd.notes.tell("joins", err) {
		s.in = append(s.in, room)
	}
}

// one is a room that the visitor is in, "" for none.
func (s *stay) one() chat.Slug {
	if len(s.in) == 0 {
		return ""
	}
	return s.in[s.visitor.random.IntN(len(s.in))]
}

// ask makes a call about a room that the visitor is in, within its time. Rooms are deleted under it.
func (s *stay) ask(ctx context.Context, what string, call func(ctx context.Context, room chat.Slug) error) {
	room := s.one()
	if room == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*answerTimeout)
	defer cancel()
	s.visitor.crowd.notes.tell(what, call(ctx, room))
}

func (s *stay) send(ctx context.Context) {
	s.ask(ctx, "sent", func(ctx context.Context, room chat.Slug) (err error) {
		id, err := s.socket.Send(ctx, room, client.Outgoing{Body: s.visitor.text()})
		if err == nil {
			s.mine[room] = id
		}
		return err
	})
}

func (s *stay) edit(ctx context.Context) {
	s.ask(ctx, "edited", func(ctx context.Context, room chat.Slug) (err error) {
		if id := s.mine[room]; id != 0 {
			_, err = s.socket.Edit(ctx, room, id, s.visitor.text())
		}
		return err
	})
}

func (s *stay) remove(ctx context.Context) {
	s.ask(ctx, "deleted", func(ctx context.Context, room chat.Slug) (err error) {
		if id := s.mine[room]; id != 0 {
			delete(s.mine, room)
			_, err = s.socket.Delete(ctx, room, id)
		}
		return err
	})
}

func (s *stay) writes(ctx context.Context) {
	s.ask(ctx, "typed", func(_ context.Context, room chat.Slug) error {
		s.socket.Typing(room)
		return nil
	})
}

func (s *stay) members(ctx context.Context) {
	s.ask(ctx, "asked for members", func(ctx context.Context, room chat.Slug) error {
		_, _, err := s.socket.Members(ctx, room)
		return err
	})
}

func (s *stay) history(ctx context.Context) {
	s.ask(ctx, "pages of history", func(ctx context.Context, room chat.Slug) error {
		_, _, err := s.socket.History(ctx, room, 0, 1+s.visitor.random.IntN(60))
		return err
	})
}

// leave leaves a room and joins any other.
func (s *stay) leave(ctx context.Context) {
	s.ask(ctx, "left rooms", func(ctx context.Context, room chat.Slug) error {
		s.in = slices.DeleteFunc(s.in, func(other chat.Slug) bool { return other == room })
		return s.socket.Leave(ctx, room)
	})
	for _, room := range s.visitor.crowd.rooms.some(s.visitor.random, 1) {
		if !slices.Contains(s.in, room) {
			s.join(ctx, room)
		}
	}
}

// blip cuts the connection; the client comes back by itself and resumes.
func (s *stay) blip(context.Context) {
	s.line.cut()
	s.visitor.crowd.notes.tell("blips", nil)
}

// freeze neither reads nor writes any more, until the server has had enough of it.
func (s *stay) freeze(ctx context.Context) {
	s.line.freeze()
	s.visitor.crowd.notes.tell("froze", nil)
	_ = pause(ctx, 90*time.Second)
	s.line.cut()
}

// line is the connection under a socket.
type line struct {
	mu     sync.Mutex
	conn   net.Conn
	frozen chan struct{} // closed when the connection ends; nil: it is not frozen
}

type lineConn struct {
	net.Conn

	line *line
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.frozen = conn, nil
	return lineConn{conn, l}, nil
}

// cut ends the connection without a goodbye of the socket's.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return
	}
	if tcp, ok := l.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = l.conn.Close()
	if l.frozen != nil {
		close(l.frozen)
		l.frozen = nil
	}
}

func (l *line) freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frozen == nil {
		l.frozen = make(chan struct{})
	}
}

// Read implements net.Conn. What is frozen reads one piece more, and then nothing.
func (c lineConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.line.mu.Lock()
	frozen := c.line.frozen
	c.line.mu.Unlock()
	if frozen != nil && err == nil {
		<-frozen
	}
	return n, err
}

// deaf is a room's handler that does nothing.
type deaf struct{}

func (deaf) Joined(client.Joined)  {}
func (deaf) Entry(wire.Event)      {}
func (deaf) Signal(string, []byte) {}
func (deaf) Left(error)            {}
