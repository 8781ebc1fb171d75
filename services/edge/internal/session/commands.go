package session

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// commandTimeout bounds what a command may make its socket wait.
const commandTimeout = 8 * time.Second

// Handle carries out one frame of the client. It returns when the next one may be read: joins wait,
// sends don't.
func (s *Session) Handle(ctx context.Context, frame []byte) {
	if s.outbox.Closing() {
		return
	}
	s.Heard()
	if !utf8.Valid(frame) {
		s.Close(wire.CloseInvalidUTF8)
		return
	}
	b := begun{at: time.Now()}
	ctx, b.span = s.Tracer.Begin(ctx, trace.Server, "command")
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	c, err := wire.DecodeCommand(frame)
	if b.span.Recorded() {
		b.span.Name("command " + label(c.Type))
	}
	if err == nil {
		err = s.carryOut(ctx, c, frame, b)
	}
	if !errors.Is(err, errLater) {
		s.Metrics.answered(label(c.Type), b.at, err, b.span.TraceID())
		b.span.End(err)
	}
	if err != nil && !errors.Is(err, errLater) {
		s.reply(wire.NewError(c.ID, err))
	}
	s.outbox.Wait()
}

// begun is a command that is being carried out.
type begun struct {
	at   time.Time
	span trace.Span
}

// errLater says that a command is answered when its outcome is known.
var errLater = errors.New("answered later")

func (s *Session) carryOut(ctx context.Context, c wire.Command, frame []byte, b begun) error {
	if c.Type == wire.TypeAuth {
		return s.auth(ctx, c)
	}
	if _, authed := s.Claims(); !authed {
		return chat.Errorf(chat.CodeUnauthenticated, `the first frame must be "auth"`)
	}
	if c.Room == "" && label(c.Type) != unknown {
		return chat.Errorf(chat.CodeBadRequest, `"room" is missing: %q needs the slug of a room`, c.Type)
	}
	if o := operation.Find(operation.Name(c.Type)); o != nil {
		return s.append(o, c, frame, b)
	}
	switch c.Type {
	case wire.TypeJoin:
		return s.join(ctx, c)
	case wire.TypeLeave:
		return s.leave(c)
	case wire.TypeHistory:
		return s.history(ctx, c)
	case wire.TypeTyping:
		return s.typing(c)
	case wire.TypeMembers:
		return s.members(c)
	}
	return chat.Errorf(chat.CodeBadRequest, "there is no command %.40q", c.Type)
}

// auth makes the session somebody's, or renews the token of the same user.
func (s *Session) auth(ctx context.Context, c wire.Command) error {
	claims, err := s.Verifier.Verify(ctx, c.Token)
	before, authed := s.Claims()
	switch {
	case err != nil && !authed && chat.CodeOf(err) == chat.CodeUnauthenticated:
		s.Close(wire.CloseUnauthenticated)
		return errLater
	case err != nil:
		return err
	case authed && (claims.User.ID != before.User.ID || claims.Tenant != before.Tenant):
		return chat.Errorf(chat.CodeForbidden, "the socket belongs to another user")
	case authed && roomsapi.Class(claims.User) != roomsapi.Class(before.User):
		// The rooms that it is in were opened for what the user was before.
		return chat.Errorf(chat.CodeForbidden, "the user is not what it was: open another socket")
	case authed:
		s.hold(ctx, claims, c.Token)
	case !s.Greet(ctx, claims, c.Token, c.ID):
		return errLater
	}
	s.reply(wire.Authed{Type: "authed", ID: c.ID, ExpiresAt: chat.At(claims.Expires)})
	return nil
}

// joinedRoom returns the room that the session is in, CodeForbidden if it is not.
func (s *Session) joinedRoom(slug chat.Slug) (*room.Room, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rooms[slug]; r != nil {
		return r, nil
	}
	return nil, chat.Errorf(chat.CodeForbidden, "join the room first")
}

func (s *Session) leave(c wire.Command) error {
	s.mu.Lock()
	r := s.rooms[c.Room]
	delete(s.rooms, c.Room)
	s.mu.Unlock()
	if r != nil && r.Remove(s) {
		s.outbox.Drop(r.ID)
		s.Presence.Exit(r, s.User(), false)
	}
	s.reply(wire.Left{Type: "left", ID: c.ID, Room: c.Room})
	return nil
}

// append checks what an operation asks for and hands it to the room's lane. Its answer follows when it is
// committed.
func (s *Session) append(o *operation.Operation, c wire.Command, frame []byte, b begun) error {
	r, err := s.joinedRoom(c.Room)
	if err != nil {
		return err
	}
	a := roomsapi.Append{Room: r.ID, Kind: o.Name}
	if a.Request, err = o.Read(c, frame); err != nil {
		return err
	}
	if a.Nonce == "" && !o.Requires(operation.FieldNonce) {
		a.Nonce = rand.Text() // so that the lane may send it again
	}
	if err = o.Check(a.Request); err == nil {
		err = s.limited(s.limits.Send(r.ID, a.Cost()))
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	a.Token = s.token
	s.mu.Unlock()
	if b.span.Recorded() {
		b.span.Int("parley.room", int64(r.ID))
		b.span.Text("parley.user", string(s.User().ID))
		a.Traceparent = b.span.Parent()
	}
	start := time.Now()
	s.Rooms.Append(a, func(seq chat.Seq, err error) {
		if err == nil {
			r.Acked(seq)
		}
		traceID := b.span.TraceID()
		metric.Since(s.Metrics.acks.WithLabelValues(c.Type), start, traceID)
		s.Metrics.answered(c.Type, b.at, err, traceID)
		b.span.End(err)
		if err != nil {
			s.reply(wire.NewError(c.ID, err))
			return
		}
		s.reply(o.Answer.Frame(c.ID, c.Room, seq))
	})
	return errLater
}

func (s *Session) history(ctx context.Context, c wire.Command) error {
	r, err := s.joinedRoom(c.Room)
	if err != nil {
		return err
	}
	if c.Before < 0 {
		return chat.Errorf(chat.CodeBadRequest, `"before" can't be negative`)
	}
	page, err := s.Rooms.History(ctx, r.ID, c.Before, pageSize(c.Limit))
	if err == nil {
		_, err = s.joinedRoom(c.Room) // it may have been taken out meanwhile
	}
	if err == nil && s.Feed.Rooms.Held() {
		err = room.ErrHeld()
	}
	if err != nil {
		return err
	}
	s.reply(wire.History{Type: "history", ID: c.ID, Room: c.Room, Messages: page.Messages, HasMore: page.HasMore})
	return nil
}

func (s *Session) typing(c wire.Command) error {
	r, err := s.joinedRoom(c.Room)
	if err == nil {
		s.Presence.Typing(r, s.User())
	}
	return err
}

func (s *Session) members(c wire.Command) error {
	r, err := s.joinedRoom(c.Room)
	if err != nil {
		return err
	}
	users, count := s.Presence.Members(r)
	s.reply(wire.Members{Type: "members", ID: c.ID, Room: c.Room, Members: users, MemberCount: count})
	return nil
}

// Bounds of a page of messages.
const (
	defaultPage = 50
	maxPage     = 100
)

// pageSize cuts what the client asks for to what is allowed.
func pageSize(asked *int) int {
	if asked == nil {
		return defaultPage
	}
	return min(max(*asked, 1), maxPage)
}
