package access

import (
	"context"
	"sync"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// Socket is an open socket: session.Session.
type Socket interface {
	room.Member
	// Claims are what its token says; false before it has shown one.
	Claims() (token.Claims, bool)
	// Token is the token itself.
	Token() string
	Tell(frame []byte)
	Close(code wire.CloseCode)
}

// Sockets are the open sockets of the edge: session.Registry.
type Sockets interface{ Each(do func(Socket)) }

// Events handles what the lobbies tell: auth's ends sessions, rooms' changes who may know of and read which room.
// Nothing of what an event takes away, or puts in doubt, is handed to any socket of this edge when it returns.
type Events struct {
	access      *Access
	sockets     Sockets
	revocations *token.Revocations

	asking context.Context // ends with Run
	stop   context.CancelFunc
	asked  sync.WaitGroup
}

// NewEvents makes the handler of both lobbies. Run must be started before them.
func NewEvents(a *Access, sockets Sockets, revocations *token.Revocations) *Events {
	e := &Events{access: a, sockets: sockets, revocations: revocations}
	e.asking, e.stop = context.WithCancel(context.Background())
	return e
}

// Run waits for ctx to end, and then for the questions that are under way.
func (e *Events) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	e.stop()
	e.asked.Wait()
	return nil
}

// HandleLobby implements lobby.Handler.
func (e *Events) HandleLobby(ctx context.Context, event lobby.Event) {
	switch event.Kind {
	case lobby.SessionEnded, lobby.GenerationRaised:
		e.revocations.Apply(event)
		e.sockets.Each(func(s Socket) {
			if claims, authed := s.Claims(); authed && e.revocations.Revoked(claims) {
				s.Close(wire.CloseUnauthenticated)
			}
		})
	case lobby.RoomCreated, lobby.RoomUpdated, lobby.RoomDeleted:
		if event.Room != nil {
			e.room(ctx, event)
		}
	default: // of a later version
	}
}

// Renewed begins anew after a restore from a backup: what was told before may never have happened.
func (e *Events) Renewed(ctx context.Context) {
	e.access.Feed.Forget(ctx)
	e.sockets.Each(func(s Socket) { s.Close(wire.CloseDrained) })
}

// room takes out of the room the members that may not read it any more, asks about those of whom the event does not
// tell, and tells each socket what the event means to it.
func (e *Events) room(ctx context.Context, event lobby.Event) {
	after := event.After()
	settled := map[room.Member]bool{} // they are told otherwise
	r, unsure := e.access.Feed.Apply(ctx, event, func(m room.Member) (room.Verdict, []byte) {
		reads, sure := after.Reads(m.User())
		switch {
		case !sure:
			return room.Unsure, nil
		case reads:
			return room.Stays, nil
		}
		settled[m] = true
		knows, _ := after.Knows(m.User())
		return room.TakenOut, lastFrames(event, knows)
	})
	for _, m := range unsure {
		settled[m] = true
		e.asked.Go(func() { e.ask(r, m, event) })
	}
	e.sockets.Each(func(s Socket) {
		claims, authed := s.Claims()
		if !authed || claims.Tenant != event.Tenant || settled[s] {
			return
		}
		if told := meaning(claims.User, event, func() bool { return r != nil && r.Has(s) }); told != nil {
			s.Tell(wire.AppendJSON(nil, told))
		}
	})
}

// askPause is between two questions about a member while the rooms service can't answer.
const askPause = 500 * time.Millisecond

// ask asks about a member that is suspended, until the rooms service has answered: so nothing is lost while it can't.
func (e *Events) ask(r *room.Room, m room.Member, event lobby.Event) {
	s, ok := m.(Socket)
	if !ok {
		r.Refuse(m, nil)
		return
	}
	pause := time.NewTimer(0)
	defer pause.Stop()
	for r.Suspended(m) {
		select {
		case <-e.asking.Done():
			return
		case <-pause.C:
		}
		answer, err := e.access.Asker.Access(e.asking, s.Token(), r.Slug)
		switch chat.CodeOf(err) { //nolint:exhaustive // what is not named here is no answer
		case "":
			if r.Grant(m.Reader(), answer) && r.Resume(m) { // else the answer is from before a later event
				s.Tell(wire.AppendJSON(nil, wire.RoomEvent{Type: "room_updated", Room: r.Info()}))
				return
			}
			pause.Reset(0)
			continue
		case chat.CodeNotFound, chat.CodeForbidden, chat.CodeUnauthenticated:
			r.Refuse(m, lastFrames(event, chat.CodeOf(err) == chat.CodeForbidden))
			return
		}
		pause.Reset(askPause)
	}
}

// lastFrames are what a member is told that is taken out of the room by an event.
func lastFrames(event lobby.Event, knows bool) []byte {
	gone := wire.RoomGone{Type: "room_deleted", Room: event.Room.Slug}
	if event.Kind == lobby.RoomDeleted {
		return wire.AppendJSON(nil, gone)
	}
	frames := wire.AppendJSON(nil, wire.Kicked{Type: "kicked", Room: event.Room.Slug, Reason: "you may no longer read this room"})
	if knows {
		return wire.AppendJSON(frames, wire.RoomEvent{Type: "room_updated", Room: *event.Room})
	}
	return wire.AppendJSON(frames, gone)
}

// meaning is the frame that the event means to a user who is not taken out, nil for none. Members of the room know it.
// Other users of whom the audience is unsure are told nothing: to ask for each of them would be as many questions as
// there are sockets, and they find the room in the list, where they are asked for.
func meaning(user chat.User, event lobby.Event, member func() bool) any {
	knew, knewSure := event.Former().Knows(user)
	knows, sure := event.After().Knows(user)
	if !sure && member() {
		knew, knewSure, knows, sure = true, true, true, true
	}
	switch {
	case !sure:
		return nil
	case knows && knew && knewSure:
		return wire.RoomEvent{Type: "room_updated", Room: *event.Room}
	case knows:
		return wire.RoomEvent{Type: "room_created", Room: *event.Room}
	case knew && knewSure:
		return wire.RoomGone{Type: "room_deleted", Room: event.Room.Slug}
	}
	return nil
}
