package room

import (
	"context"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/rooms/internal/access"
	"github.com/parley-chat/parley/services/rooms/internal/message"
)

// Question asks whether somebody may enter a room; Err answers it beforehand, as for a bad token.
type Question struct {
	Caller access.Subject
	Slug   chat.Slug
	Err    error
}

// Access answers many questions by one look at the store.
func (d *Directory) Access(ctx context.Context, questions []Question) ([]roomsapi.Access, error) {
	var keys []message.SlugKey
	for _, q := range questions {
		if q.Err == nil && q.Slug.Valid() {
			keys = append(keys, q.key())
		}
	}
	found, seq, err := d.finder.Rooms(ctx, keys)
	if err != nil {
		return nil, err
	}
	roles, err := d.roles(ctx, questions, found)
	if err != nil {
		return nil, err
	}
	answers := make([]roomsapi.Access, len(questions))
	for i, q := range questions {
		answers[i] = d.answer(q, found, roles)
		answers[i].Lobby = seq
		d.questions.WithLabelValues(result(answers[i])).Inc()
	}
	return answers, nil
}

func (q Question) key() message.SlugKey {
	return message.SlugKey{Tenant: q.Caller.Tenant, Slug: q.Slug}
}

func (q Question) memberKey(room message.Room) access.MemberKey {
	if q.Caller.User == nil {
		return access.MemberKey{Room: room.ID}
	}
	return access.MemberKey{Room: room.ID, User: q.Caller.User.ID}
}

// roles looks up who of those that ask about private rooms are members. The rooms were read before: a membership
// that changed since has raised its room's version.
func (d *Directory) roles(ctx context.Context, questions []Question, found map[message.SlugKey]message.Room) (map[access.MemberKey]access.Membership, error) {
	var keys []access.MemberKey
	for _, q := range questions {
		if room, ok := found[q.key()]; ok && q.Err == nil && room.Private && q.Caller.User != nil {
			keys = append(keys, q.memberKey(room))
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return d.members.Roles(ctx, keys)
}

func (d *Directory) answer(q Question, found map[message.SlugKey]message.Room, roles map[access.MemberKey]access.Membership) roomsapi.Access {
	if q.Err != nil {
		return roomsapi.Access{Error: roomsapi.FromError(q.Err)}
	}
	room, ok := found[q.key()]
	if !ok {
		return roomsapi.Access{Error: roomsapi.FromError(access.NoRoom()), ForAll: true}
	}
	decision := d.rules.Decide(q.Caller, access.Read, room.Access(), roles[q.memberKey(room)])
	answer := roomsapi.Access{Error: roomsapi.FromError(decision.Err), ForAll: decision.ForKind, Version: decision.Version}
	if decision.Err == nil {
		answer.ID, answer.Room = room.ID, &room.Room
	}
	return answer
}

func result(a roomsapi.Access) string {
	if a.Error != nil {
		return string(a.Error.Code)
	}
	return "ok"
}
