package message

import (
	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/services/rooms/internal/access"
)

//nolint:gochecknoglobals // a constant
var edit = effect{
	action: access.Edit,
	apply: func(c change) (chat.Seq, error) {
		target := c.tx.message(c.room.ID, c.asked.Message)
		if target == nil || target.DeletedBy != 0 {
			return 0, operation.NoMessage()
		}
		if err := c.mayChange(target); err != nil {
			return 0, err
		}
		target.Body, target.EditedAt = c.asked.Body, c.tx.now
		c.tx.change(target)
		c.audit(audit.MessageEdited, target)
		return c.add(Entry{Kind: operation.Edit.Entry, Message: target.Seq}).Seq, nil
	},
	show: func(h header, e ReadEntry) any { return wholeMessage{h, messageOf(e.Subject)} },
}
