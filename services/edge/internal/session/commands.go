package session

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/ratelimit"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// commandTimeout bounds what a command may make its socket wait.
const commandTimeout = 8 * time.Second

// command is what clients can ask for by one type of frame.
type command struct {
	early bool                                        // it needs no token
	room  bool                                        // it names a room
	limit func(*ratelimit.Socket) (bool, error)       // nil: none, or its handler's
	run   func(*Session, context.Context, call) error // errDeferred: it answers later
}

// commands are all of them. The operations of rooms' logs are one: append does each by its entry in the table of
// package operation.
var commands = withOperations(map[string]command{ //nolint:gochecknoglobals // a table
	wire.TypeAuth:    {early: true, run: (*Session).auth},
	wire.TypeJoin:    {room: true, limit: (*ratelimit.Socket).Join, run: (*Session).join},
	wire.TypeLeave:   {room: true, run: (*Session).leave},
	wire.TypeHistory: {room: true, run: (*Session).history},
	wire.TypeTyping:  {room: true, run: (*Session).typing},
	wire.TypeMembers: {room: true, run: (*Session).members},
})

func withOperations(all map[string]command) map[string]command {
	for _, o := range operation.All {
		all[string(o.Name)] = command{room: true, run: func(s *Session, ctx context.Context, c call) error { return s.append(ctx, o, c) }}
	}
	return all
}

// call is one frame of a client, as a command that is being run.
type call struct {
	wire.Command

	frame []byte
	label string // of metrics
	at    time.Time
	span  trace.Span
}

// errDeferred says that a command is answered when its outcome is known.
var errDeferred = errors.New("answered later")

// Handle runs the command in one frame of the client. It returns when the next one may be read: joins wait,
// sends don't.
func (s *Session) Handle(ctx context.Context, frame []byte) {
	if s.outbox.Closing() {
		return
	}
	s.Active()
	if !utf8.Valid(frame) {
		s.Close(wire.CloseInvalidUTF8)
		return
	}
	c := call{frame: frame, at: time.Now()}
	ctx, c.span = s.Tracer.Start(ctx, trace.Server, "command")
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var err error
	c.Command, err = wire.DecodeCommand(frame)
	c.label = label(c.Type)
	if c.span.IsRecording() {
		c.span.SetName("command " + c.label)
	}
	if err == nil {
		err = s.dispatch(ctx, c)
	}
	if !errors.Is(err, errDeferred) {
		s.answered(c, err)
	}
	s.outbox.Wait()
}

// answered counts a command that has been answered, and tells the client of an error.
func (s *Session) answered(c call, err error) {
	s.Metrics.answered(c.label, c.at, err, c.span.TraceID())
	c.span.End(err)
	if err != nil {
		s.reply(wire.NewError(c.ID, err))
	}
}

func (s *Session) dispatch(ctx context.Context, c call) error {
	cmd, known := commands[c.Type]
	if _, authed := s.Claims(); !authed && !cmd.early {
		return chat.Errorf(chat.CodeUnauthenticated, `the first frame must be "auth"`)
	}
	if !known {
		return chat.Errorf(chat.CodeBadRequest, "there is no command %.40q", c.Type)
	}
	if cmd.room && c.Room == "" {
		return chat.Errorf(chat.CodeBadRequest, `"room" is missing: %q needs the slug of a room`, c.Type)
	}
	if cmd.limit != nil {
		if err := s.limited(cmd.limit(&s.limits)); err != nil {
			return err
		}
	}
	return cmd.run(s, ctx, c)
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
