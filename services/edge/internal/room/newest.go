package room

import (
	"bytes"
	"encoding/json"

	"github.com/parley-chat/parley/pkg/chat"
)

// MaxNewest is how many messages an edge keeps of a room for those who join without a cursor; a page of
// them is not longer.
const MaxNewest = 100

// Newest is the newest messages of a room in their current state, oldest first. The tail does not serve
// for them: a few hundred edits of one message leave no message in it.
type Newest struct {
	messages []kept
	bytes    int
	More     bool // the log holds older ones
}

// kept is a message, or the event that told of it: it is looked into when somebody joins.
type kept struct {
	id    chat.Seq
	json  json.RawMessage
	event bool
}

// Add takes in a message that was just sent, by its event.
func (n *Newest) Add(id chat.Seq, event json.RawMessage) { n.put(kept{id, event, true}) }

// Put takes in a message that is newer than those before.
func (n *Newest) Put(id chat.Seq, message json.RawMessage) { n.put(kept{id: id, json: message}) }

// Len is how many there are.
func (n *Newest) Len() int { return len(n.messages) }

func (n *Newest) put(message kept) {
	n.messages = append(n.messages, message)
	n.bytes += len(message.json)
	drop := 0
	for left := len(n.messages); left-drop > 1 && (left-drop > MaxNewest || n.bytes > MaxReplayBytes); drop++ {
		n.bytes -= len(n.messages[drop].json)
		n.messages[drop].json = nil // the array outlives the slice
		n.More = true
	}
	n.messages = n.messages[drop:]
}

// fold shows message id as state.
func (n *Newest) fold(id chat.Seq, state json.RawMessage) {
	for i := len(n.messages) - 1; i >= 0 && n.messages[i].id >= id; i-- {
		if n.messages[i].id == id {
			n.bytes += len(state) - len(n.messages[i].json)
			n.messages[i] = kept{id: id, json: state}
		}
	}
}

// page returns the newest, limit at most, and whether there are older ones.
func (n *Newest) page(limit int) (messages []json.RawMessage, more bool) {
	from := max(0, len(n.messages)-limit)
	messages = make([]json.RawMessage, 0, len(n.messages)-from)
	for i := from; i < len(n.messages); i++ {
		if m := &n.messages[i]; m.event {
			inside := messageOf(m.json)
			n.bytes += len(inside) - len(m.json)
			m.json, m.event = inside, false
		}
		if message := n.messages[i].json; message != nil {
			messages = append(messages, message)
		}
	}
	return messages, n.More || from > 0
}

// messageOf is the message in its event, nil if it holds none.
func messageOf(event json.RawMessage) json.RawMessage {
	var inside struct {
		Message json.RawMessage `json:"message"`
	}
	if json.Unmarshal(event, &inside) != nil {
		return nil
	}
	return bytes.Clone(inside.Message) // without the rest of the event in memory
}
