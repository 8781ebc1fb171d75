package message

import (
	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/services/rooms/internal/access"
)

//nolint:gochecknoglobals // a constant
var remove = effect{
	action: access.Delete,
	apply: func(c change) (chat.Seq, error) {
		target := c.tx.message(c.room.ID, c.asked.Message)
		if target == nil {
			return 0, operation.NoMessage()
		}
		if err := c.mayChange(target); err != nil {
			return 0, err
		}
		if target.DeletedBy != 0 {
			return target.DeletedBy, nil
		}
		deleted := c.add(Entry{Kind: operation.Delete.Entry, Message: target.Seq})
		target.Body, target.DeletedBy = "", deleted.Seq
		c.tx.change(target)
		c.audit(audit.MessageDeleted, target)
		c.tx.dropStream(c.room)
		return deleted.Seq, nil
	},
	show: func(h header, e ReadEntry) any {
		return struct {
			header

			Message chat.Seq `json:"message"`
		}{h, e.Message}
	},
}
