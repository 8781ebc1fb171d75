package room

import (
	"context"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/policy"
)

// Question asks whether somebody may enter a room; Err answers it beforehand, as for a bad token.
type Question struct {
	Caller Caller
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
	found, seq, err := d.store.Rooms(ctx, keys)
	if err != nil {
		return nil, err
	}
	answers := make([]roomsapi.Access, len(questions))
	for i, q := range questions {
		answers[i] = q.answer(found, seq)
		d.questions.WithLabelValues(result(answers[i])).Inc()
	}
	return answers, nil
}

func (q Question) key() message.SlugKey {
	return message.SlugKey{Tenant: q.Caller.Tenant, Slug: q.Slug}
}

func (q Question) answer(found map[message.SlugKey]message.Room, seq chat.Seq) roomsapi.Access {
	if q.Err != nil {
		return roomsapi.Access{Error: roomsapi.FromError(q.Err), Lobby: seq}
	}
	room, ok := found[q.key()]
	if !ok || policy.Know(room.Room, q.Caller.User) != nil {
		return roomsapi.Access{Error: roomsapi.FromError(policy.NoRoom()), ForAll: true, Lobby: seq}
	}
	// By flags alone: so for everyone of the same class.
	return roomsapi.Access{ID: room.ID, Room: &room.Room, ForAll: true, Lobby: seq}
}

func result(a roomsapi.Access) string {
	if a.Error != nil {
		return string(a.Error.Code)
	}
	return "ok"
}
