package message

import (
	"strconv"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/services/rooms/internal/access"
)

// effect is what an operation does to a log, and how its entries are shown.
type effect struct {
	action access.Action // what its author must be allowed to do
	// apply does it, and returns the seq of the entry that it made, or that was made for it before.
	apply func(change) (chat.Seq, error)
	// show makes the frame of an entry of the operation's kind.
	show func(header, ReadEntry) any
}

//nolint:gochecknoglobals // a table; a test holds that it has all operations
var effects = map[operation.Name]*effect{
	operation.NameSend:   &send,
	operation.NameEdit:   &edit,
	operation.NameDelete: &remove,
}

// effectsByEntry are the effects by the kind of the entries that they make.
var effectsByEntry = func() map[string]*effect { //nolint:gochecknoglobals // a table
	all := make(map[string]*effect)
	for _, o := range operation.All {
		all[o.Entry] = effects[o.Name]
	}
	return all
}()

// change is an append in its transaction, allowed as far as its room decides that.
type change struct {
	tx       *Transaction
	room     Room
	asked    *Append
	action   access.Action
	decision access.Decision
}

// add appends an entry of the author's.
func (c change) add(e Entry) *Entry {
	e.Author = c.asked.Author.Author()
	return c.tx.append(c.room, e, c.asked.Trace)
}

// mayChange refuses the operation on a message whose author it is not for.
func (c change) mayChange(target *Entry) error {
	return c.decision.OnMessageOf(target.Author.ID, c.asked.Author, c.action)
}

// audit remembers what was done to a message of somebody else.
func (c change) audit(action audit.Action, target *Entry) {
	if target.Author.ID != c.asked.Author.ID {
		c.tx.Audit(c.asked.subject().Act(c.tx.now, action, c.room.Slug, strconv.FormatInt(int64(target.Seq), 10), map[string]any{"author": string(target.Author.ID)}))
	}
}
