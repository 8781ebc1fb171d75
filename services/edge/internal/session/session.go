// Package session is one client's socket: who it is, which rooms it is in, its commands and its
// outbox. It knows no HTTP: package ws reads its frames and hands them over.
package session

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/access"
	"github.com/parley-chat/parley/services/edge/internal/drain"
	"github.com/parley-chat/parley/services/edge/internal/feed"
	"github.com/parley-chat/parley/services/edge/internal/outbox"
	"github.com/parley-chat/parley/services/edge/internal/ratelimit"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// Verifier checks access tokens: token.Verifier.
type Verifier interface {
	Verify(ctx context.Context, raw string) (token.Claims, error)
}

// Rooms is what a session asks of the rooms service: roomsclient.Client.
type Rooms interface {
	// Append queues an entry; done gets its seq once it is committed.
	Append(a roomsapi.Append, done func(chat.Seq, error))
	// History returns messages in their current state, newest first.
	History(ctx context.Context, room chat.RoomID, before chat.Seq, limit int) (roomsapi.History, error)
}

// Presence is who is in which room, across all edges.
type Presence interface {
	// Enter and Exit are called for each socket that comes and goes; lost says that it may come back.
	Enter(ctx context.Context, room *room.Room, user chat.User)
	Exit(room *room.Room, user chat.User, lost bool)
	// Members returns who is there, nil where that is not known or too many.
	Members(room *room.Room) (users []chat.User, count *int)
	Typing(room *room.Room, user chat.User)
}

// Limits bound what one client may ask for.
type Limits struct {
	wire.Limits

	Heartbeat   time.Duration
	OutboxBytes int
	AuthWithin  time.Duration // from the handshake to the first frame's token
	MaxAge      time.Duration // about: then one is sent elsewhere; 0 is never
}

// Shared is what all sessions of an edge have in common.
type Shared struct {
	Feed     *feed.Feed
	Access   *access.Access
	Rooms    Rooms
	Verifier Verifier
	Presence Presence
	Limiter  *ratelimit.Limiter
	Writers  *outbox.Writers
	Outboxes *outbox.Metrics
	Limits   Limits
	Metrics  *Metrics
	Tracer   *trace.Tracer // nil: nothing is traced
	Log      *slog.Logger
}

// Session is one socket. Handle is called by its reader alone; everything else by anybody.
type Session struct {
	*Shared

	id         string
	outbox     *outbox.Outbox
	limits     ratelimit.Socket // of its reader
	lastActive atomic.Int64
	opened     time.Time
	leaves     int64 // Unix nanoseconds: when it is told to go, and then when it is closed; 0 is never; of Beat alone
	askedToGo  bool  // elsewhere; of Beat alone

	mu     sync.Mutex // before nothing: no other lock is taken under it
	claims token.Claims
	token  string
	authed bool
	rooms  map[chat.Slug]*room.Room
}

// New makes the session of a connection from an address; Greet or a first auth frame makes it somebody's.
// Where the address has too many, the session says so and ends.
func New(shared *Shared, conn net.Conn, address string) *Session {
	s := &Session{
		Shared: shared, id: rand.Text(), opened: time.Now(), rooms: map[chat.Slug]*room.Room{},
		outbox: outbox.New(conn, shared.Limits.OutboxBytes, shared.Writers, shared.Outboxes),
	}
	s.lastActive.Store(s.opened.UnixNano())
	if life := drain.Lifetime(shared.Limits.MaxAge); life > 0 {
		s.leaves = s.opened.Add(life).UnixNano()
	}
	s.Metrics.connections.Inc()
	var ok bool
	if s.limits, ok = s.Limiter.Open(address); !ok {
		s.refuse(nil)
	}
	return s
}

// Greet makes the session that of a verified token and says hello. It is false where the user has too many
// sockets, or had too many when it came: then it says that, as the answer to a command if that was one, and ends.
func (s *Session) Greet(ctx context.Context, claims token.Claims, raw string, command *int64) bool {
	if s.outbox.Closing() {
		return false
	}
	if !s.limits.SignIn(claims.User.ID) {
		s.refuse(command)
		return false
	}
	s.hold(ctx, claims, raw)
	s.reply(wire.Hello{
		Type: "hello", Session: claims.Session, User: claims.User,
		HeartbeatMS: s.Limits.Heartbeat.Milliseconds(), Limits: s.Limits.Limits,
	})
	return true
}

// refuse ends a session that is one too many.
func (s *Session) refuse(command *int64) {
	s.reply(wire.NewError(command, limit.TooManyOpen()))
	s.Close(wire.CloseFlooding)
}

// maxEarlyBytes bounds a frame of a socket that has not shown a token yet.
const maxEarlyBytes = 16 << 10

// MaxFrame is how many bytes the client's next message may have. Its reader calls it.
func (s *Session) MaxFrame() int {
	if !s.limits.SignedIn() {
		return min(s.Limits.Frame, maxEarlyBytes)
	}
	return s.Limits.Frame
}

// hold takes a verified token as the one that counts. What voided it since it was verified found no
// session that held it, so it is looked at once more.
func (s *Session) hold(ctx context.Context, claims token.Claims, raw string) {
	s.mu.Lock()
	s.claims, s.token, s.authed = claims, raw, true
	s.mu.Unlock()
	if _, err := s.Verifier.Verify(ctx, raw); chat.CodeOf(err) == chat.CodeUnauthenticated {
		s.Close(wire.CloseUnauthenticated)
	}
}

// LogValue implements slog.LogValuer: what tells the session apart in the log.
func (s *Session) LogValue() slog.Value {
	claims, _ := s.Claims()
	return slog.GroupValue(slog.String("id", s.id), slog.String("session", string(claims.Session)), slog.String("user_id", string(claims.User.ID)))
}

// Code is what it was closed with, 1000 if the client or the network ended it.
func (s *Session) Code() wire.CloseCode { return s.outbox.Code() }

// User is whose socket it is.
func (s *Session) User() chat.User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.claims.User
}

// Claims are what the token says that holds now; false before there was one.
func (s *Session) Claims() (token.Claims, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.claims, s.authed
}

// Deliver implements room.Member.
func (s *Session) Deliver(room *room.Room, content []byte, written time.Time) {
	s.outbox.Add(room.ID, content, written)
}

// TakenOut implements room.Member.
func (s *Session) TakenOut(room *room.Room, frame []byte) {
	s.mu.Lock()
	if s.rooms[room.Slug] == room {
		delete(s.rooms, room.Slug)
	}
	s.mu.Unlock()
	s.outbox.Drop(room.ID)
	s.Presence.Exit(room, s.User(), false)
	s.Tell(frame)
}

// Reconnect implements room.Member.
func (s *Session) Reconnect() { s.Close(wire.CloseDrained) }

// Reader implements room.Member.
func (s *Session) Reader() room.Reader {
	claims, _ := s.Claims()
	return access.ReaderOf(claims)
}

// Tell hands over a frame that is not of a room's log.
func (s *Session) Tell(frame []byte) { s.outbox.Add(0, frame, time.Time{}) }

// Counted counts a frame or a fragment of the client, whatever its kind. False says that it is one too
// many: the session is being closed as flooding. Its reader calls it.
func (s *Session) Counted() bool {
	counted := s.limits.Frame()
	if !counted {
		s.Close(wire.CloseFlooding)
	}
	return counted
}

// limited passes on what a limit says of a command, and closes the session of a client that is flooding.
func (s *Session) limited(flooding bool, err error) error {
	if flooding {
		s.Close(wire.CloseFlooding)
	}
	return err
}

// Close queues a close frame with code and ends the connection, which wakes the reader.
func (s *Session) Close(code wire.CloseCode) { s.outbox.Close(code) }

// Active notes a sign of life.
func (s *Session) Active() { s.lastActive.Store(time.Now().UnixNano()) }

// Pinged answers a ping.
func (s *Session) Pinged(payload []byte) {
	s.Active()
	s.Tell(wire.AppendPong(nil, payload))
}

// Beat is called now and then: it ends a session that never showed a token, whose token has expired
// or that has been silent for two heartbeats, and otherwise pings if it is the session's turn. One that is
// old is sent elsewhere.
func (s *Session) Beat(now time.Time, ping []byte) {
	s.age(now)
	claims, authed := s.Claims()
	switch silent := now.Sub(time.Unix(0, s.lastActive.Load())); {
	case !authed && now.Sub(s.opened) > s.Limits.AuthWithin, authed && now.After(claims.Expires):
		s.Close(wire.CloseUnauthenticated)
	case silent > 2*s.Limits.Heartbeat+s.Limits.Heartbeat/2:
		s.outbox.Abort()
	case ping != nil:
		s.Tell(ping)
	}
}

// End takes the session out of all its rooms and waits for its writer: the connection may not be
// touched afterwards. The reader calls it when it returns.
func (s *Session) End() {
	lost := s.outbox.Code() != wire.CloseUnauthenticated // everybody else may come back
	s.mu.Lock()
	rooms := s.rooms
	s.rooms = nil
	user := s.claims.User
	s.mu.Unlock()
	for _, room := range rooms {
		if room.Remove(s) {
			s.Presence.Exit(room, user, lost)
		}
	}
	s.limits.Close()
	s.outbox.End()
	s.Metrics.connections.Dec()
	s.Metrics.closed.WithLabelValues(strconv.Itoa(int(s.outbox.Code()))).Inc()
}

// reply sends an answer or event made for this session alone.
func (s *Session) reply(frame any) {
	s.outbox.Add(0, wire.AppendJSON(nil, frame), time.Time{})
}
