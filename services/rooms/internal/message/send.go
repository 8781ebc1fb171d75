package message

import (
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/services/rooms/internal/access"
)

//nolint:gochecknoglobals // a constant
var send = effect{
	action: access.Send,
	apply: func(c change) (chat.Seq, error) {
		a := c.asked
		if a.ReplyTo != 0 && c.tx.message(c.room.ID, a.ReplyTo) == nil {
			return 0, operation.NoReplyTo()
		}
		return c.add(Entry{Kind: operation.Send.Entry, Body: a.Body, ReplyTo: a.ReplyTo, Nonce: a.Nonce}).Seq, nil
	},
	show: func(h header, e ReadEntry) any { return wholeMessage{h, messageOf(&e.Entry)} },
}

// wholeMessage is the frame of an entry that shows a whole message.
type wholeMessage struct {
	header

	Message message `json:"message"`
}
