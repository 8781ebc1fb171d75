// Package session is one client's socket: who it is, which rooms it is in, its commands and its
// outbox. It knows no HTTP: gateway reads its frames and hands them over.
package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
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
	"github.com/parley-chat/parley/services/edge/internal/hub"
)

// Verifier checks access tokens: token.Verifier.
type Verifier interface {
	Verify(ctx context.Context, raw string) (token.Claims, error)
}

// Rooms is what a session asks of the rooms service: roomsclient.Client.
type Rooms interface {
	// Append queues an entry; done gets its seq once it is committed.
	Append(a roomsapi.Append, done func(chat.Seq, error))
	// Access asks what the bearer of token may do in a room.
	Access(ctx context.Context, token string, slug chat.Slug) (roomsapi.Access, error)
	// History returns messages in their current state, newest first.
	History(ctx context.Context, room chat.RoomID, before chat.Seq, limit int) (roomsapi.History, error)
}

// Presence is who is in which room, across all edges.
type Presence interface {
	// Enter and Exit are called for each socket that comes and goes; lost says that it may come back.
	Enter(ctx context.Context, room *hub.Room, user chat.User)
	Exit(room *hub.Room, user chat.User, lost bool)
	// Members returns who is there, nil where that is not known or too many.
	Members(room *hub.Room) (users []chat.User, count *int)
	Typing(room *hub.Room, user chat.User)
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
	Hub      *hub.Hub
	Rooms    Rooms
	Verifier Verifier
	Presence Presence
	Limiter  *Limiter
	Writers  *Writers
	Limits   Limits
	Metrics  *Metrics
	Tracer   *trace.Tracer // nil: nothing is traced
	Log      *slog.Logger
}

// Session is one socket. Handle is called by its reader alone; everything else by anybody.
type Session struct {
	*Shared

	id      string
	outbox  *Outbox
	address *budget // of the address, on this edge; nil: refused
	budget  *budget // of the user, on this edge; nil: nobody's yet
	heard   atomic.Int64
	opened  time.Time
	leaves  int64 // Unix nanoseconds: when it is told to go, and then when it is closed; 0 is never; of Beat alone
	early   int32 // frames before the session was somebody's
	told    bool  // to go; of Beat alone

	mu     sync.Mutex // before nothing: no other lock is taken under it
	claims token.Claims
	token  string
	authed bool
	rooms  map[chat.Slug]*hub.Room
}

// New makes the session of a connection from an address; Greet or a first auth frame makes it somebody's.
// Where the address has too many, the session says so and ends.
func New(shared *Shared, conn net.Conn, address string) *Session {
	s := &Session{
		Shared: shared, id: rand.Text(), opened: time.Now(), rooms: map[chat.Slug]*hub.Room{},
		outbox: NewOutbox(conn, shared.Limits.OutboxBytes, shared.Writers, shared.Metrics),
	}
	s.heard.Store(s.opened.UnixNano())
	if life := Lifetime(shared.Limits.MaxAge); life > 0 {
		s.leaves = s.opened.Add(life).UnixNano()
	}
	s.Metrics.connections.Inc()
	if s.address = s.Limiter.addresses.take(address); s.address == nil {
		s.refuse(nil, limitAddressSockets)
	}
	return s
}

// Greet makes the session that of a verified token and says hello. It is false where the user has too many
// sockets, or had too many when it came: then it says that, as the answer to a command if that was one, and ends.
func (s *Session) Greet(ctx context.Context, claims token.Claims, raw string, command *int64) bool {
	if s.outbox.Closing() {
		return false
	}
	if s.budget = s.Limiter.users.take(string(claims.User.ID)); s.budget == nil {
		s.refuse(command, limitUserSockets)
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
func (s *Session) refuse(command *int64, limited string) {
	s.Metrics.Refused(limited).Inc()
	s.reply(wire.NewError(command, limit.TooManyOpen()))
	s.Close(wire.CloseFlooding)
}

// maxEarly and maxEarlyBytes bound the frames of a socket that has not shown a token yet.
const (
	maxEarly      = 20
	maxEarlyBytes = 16 << 10
)

// MaxFrame is how many bytes the client's next message may have. Its reader calls it.
func (s *Session) MaxFrame() int {
	if s.budget == nil {
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

// Deliver implements hub.Member.
func (s *Session) Deliver(room *hub.Room, content []byte, written time.Time) {
	s.outbox.Add(room, content, written)
}

// TakenOut implements hub.Member.
func (s *Session) TakenOut(room *hub.Room, frame []byte) {
	s.mu.Lock()
	if s.rooms[room.Slug] == room {
		delete(s.rooms, room.Slug)
	}
	s.mu.Unlock()
	s.outbox.Drop(room)
	s.Tell(frame)
}

// Tell hands over a frame that is not of a room's log.
func (s *Session) Tell(frame []byte) { s.outbox.Add(nil, frame, time.Time{}) }

// Close says goodbye with code and ends the connection, which wakes the reader.
func (s *Session) Close(code wire.CloseCode) { s.outbox.Close(code) }

// Heard notes a sign of life.
func (s *Session) Heard() { s.heard.Store(time.Now().UnixNano()) }

// Pinged answers a ping.
func (s *Session) Pinged(payload []byte) {
	s.Heard()
	s.Tell(wire.AppendPong(nil, payload))
}

// Beat is called now and then: it ends a session that never showed a token, whose token has expired
// or that has been silent for two heartbeats, and otherwise pings if it is the session's turn. One that is
// old is sent elsewhere.
func (s *Session) Beat(now time.Time, ping []byte) {
	s.age(now)
	claims, authed := s.Claims()
	switch silent := now.Sub(time.Unix(0, s.heard.Load())); {
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
	if s.budget != nil {
		s.Limiter.users.giveBack(s.budget)
	}
	if s.address != nil {
		s.Limiter.addresses.giveBack(s.address)
	}
	s.outbox.End()
	s.Metrics.connections.Dec()
	s.Metrics.closed.WithLabelValues(strconv.Itoa(int(s.outbox.Code()))).Inc()
}

// reply sends an answer or event made for this session alone.
func (s *Session) reply(frame any) {
	s.outbox.Add(nil, appendFrame(nil, frame), time.Time{})
}

// appendFrame appends one of wire's structs as a text frame.
func appendFrame(dst []byte, frame any) []byte {
	var payload bytes.Buffer
	encoder := json.NewEncoder(&payload)
	encoder.SetEscapeHTML(false) // would make a message six times as long as it was counted
	if err := encoder.Encode(frame); err != nil {
		panic(err) // wire's structs hold nothing that JSON can't
	}
	return wire.AppendText(dst, bytes.TrimSuffix(payload.Bytes(), []byte("\n")))
}
