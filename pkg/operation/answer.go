package operation

import (
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
)

// Answer is how success is told. It is the type of the socket's frame.
type Answer string

// The answers.
const (
	// AnswerSent has the id of the message that was made; by HTTP it is 201 with the whole message.
	AnswerSent Answer = "sent"
	// AnswerOK has the seq of the entry that was made.
	AnswerOK Answer = "ok"
)

// Frame is the frame that answers the command id in room with the seq of the entry.
func (a Answer) Frame(id *int64, room chat.Slug, seq chat.Seq) any {
	if a == AnswerSent {
		return wire.Sent{Type: string(a), ID: id, Room: room, Message: seq}
	}
	return wire.OK{Type: string(a), ID: id, Seq: seq}
}
