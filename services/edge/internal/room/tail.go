package room

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// Bounds of what an edge keeps of a room's log in memory. What is older is read from the log.
const (
	MaxTailEntries = 512
	MaxTailBytes   = 256 << 10
)

// tail is the newest run of a room's log without a hole, with later edits and deletes folded in: an
// entry that is replayed shows its message as it is now.
type tail struct {
	entries []roomsapi.Entry // the last one's seq is the room's head
	bytes   int
}

func size(e *roomsapi.Entry) int { return len(e.Event) + len(e.State) + 64 }

// add appends the entry that is next.
func (t *tail) add(slug chat.Slug, e roomsapi.Entry) {
	if len(e.State) > 0 {
		t.fold(slug, e.Message, e.State)
	}
	e.Traceparent = "" // it has come to its end
	t.entries = append(t.entries, e)
	t.bytes += size(&e)
	drop := 0
	for kept := len(t.entries); kept-drop > 1 && (kept-drop > MaxTailEntries || t.bytes > MaxTailBytes); drop++ {
		t.bytes -= size(&t.entries[drop])
		t.entries[drop] = roomsapi.Entry{} // the array outlives the slice
	}
	t.entries = t.entries[drop:]
}

// fold shows message as state in every kept entry about it, of which there may be hundreds at each edit.
func (t *tail) fold(slug chat.Slug, message chat.Seq, state json.RawMessage) {
	var line bytes.Buffer // an event is one
	name, err := json.Marshal(slug)
	if err != nil || json.Compact(&line, state) != nil {
		return // not JSON: decoders before us let none such pass
	}
	for i := range t.entries {
		e := &t.entries[i]
		if e.Message != message || e.Kind != "message" && e.Kind != "edited" {
			continue
		}
		t.bytes -= size(e)
		e.Event = fmt.Appendf(nil, `{"type":"%s","room":%s,"seq":%d,"message":%s}`, e.Kind, name, e.Seq, line.Bytes())
		if len(e.State) > 0 {
			e.State = state
		}
		t.bytes += size(e)
	}
}

// refresh folds the edits and deletes of the tail into entries from before it: they may have come since
// those were read.
func (t *tail) refresh(slug chat.Slug, older []roomsapi.Entry) {
	before := tail{entries: older}
	for i := range t.entries {
		if e := &t.entries[i]; len(e.State) > 0 && len(older) > 0 && e.Message <= older[len(older)-1].Seq {
			before.fold(slug, e.Message, e.State)
		}
	}
}

// since returns the events after a seq; false if the tail does not reach back that far.
func (t *tail) since(head, after chat.Seq) ([]json.RawMessage, bool) {
	missing := int(head - after)
	if missing > len(t.entries) {
		return nil, false
	}
	events := make([]json.RawMessage, 0, missing)
	for i := len(t.entries) - missing; i < len(t.entries); i++ {
		events = append(events, t.entries[i].Event)
	}
	return events, true
}
