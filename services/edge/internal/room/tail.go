package room

import (
	"bytes"
	"encoding/json"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// Bounds of what an edge keeps of a room's log in memory. What is older is read from the log.
const (
	MaxTailEntries = 512
	MaxTailBytes   = 256 << 10
)

// tail is the newest run of a room's log without a hole. An entry that is replayed shows its message as it is now, so
// the state that an edit or a delete brings replaces the whole message in every entry about it. Nothing else of an
// event is touched or understood.
type tail struct {
	entries []tailEntry // the last one's seq is the room's head
	bytes   int
}

// tailEntry is an entry, and where in its event the message stands.
type tailEntry struct {
	roomsapi.Entry

	from, to int32 // both 0: not looked for yet; from -1: there is none
}

func (e *tailEntry) size() int { return len(e.Event) + len(e.State) + 64 }

// add appends the entry that is next.
func (t *tail) add(e roomsapi.Entry) {
	if len(e.State) > 0 {
		t.fold(e.Message, e.State)
	}
	e.Traceparent = "" // it has come to its end
	t.entries = append(t.entries, tailEntry{Entry: e})
	t.bytes += t.entries[len(t.entries)-1].size()
	drop := 0
	for kept := len(t.entries); kept-drop > 1 && (kept-drop > MaxTailEntries || t.bytes > MaxTailBytes); drop++ {
		t.bytes -= t.entries[drop].size()
		t.entries[drop] = tailEntry{} // the array outlives the slice
	}
	t.entries = t.entries[drop:]
}

// fold shows message as state in every kept entry about it, of which there may be hundreds at each edit.
func (t *tail) fold(message chat.Seq, state json.RawMessage) {
	var line bytes.Buffer // an event is one
	if json.Compact(&line, state) != nil {
		return // not JSON: decoders before us let none such pass
	}
	for i := range t.entries {
		if e := &t.entries[i]; e.Message == message {
			t.bytes -= e.size()
			e.show(line.Bytes(), state)
			t.bytes += e.size()
		}
	}
}

// show replaces the message in the entry, if it has the whole message and not only its number.
func (e *tailEntry) show(line []byte, state json.RawMessage) {
	if e.to == 0 {
		e.from, e.to = messageIn(e.Event)
	}
	if e.from < 0 {
		return
	}
	event := make([]byte, 0, len(e.Event)-int(e.to-e.from)+len(line))
	event = append(event, e.Event[:e.from]...)
	event = append(event, line...)
	e.Event = append(event, e.Event[e.to:]...)
	e.to = e.from + int32(len(line)) //nolint:gosec // as above
	if len(e.State) > 0 {
		e.State = state
	}
}

// messageIn finds the object that is the message of an event; from -1 says that there is none.
func messageIn(event json.RawMessage) (from, to int32) {
	decoder := json.NewDecoder(bytes.NewReader(event))
	if brace, err := decoder.Token(); err != nil || brace != json.Delim('{') {
		return -1, 1
	}
	for decoder.More() {
		name, err := decoder.Token()
		var value json.RawMessage
		if err != nil || decoder.Decode(&value) != nil {
			break
		}
		if name == "message" && value[0] == '{' {
			to = int32(decoder.InputOffset()) //nolint:gosec // an event is bounded
			return to - int32(len(value)), to //nolint:gosec // as above
		}
	}
	return -1, 1
}

// refresh folds the edits and deletes of the tail into entries from before it: they may have come since
// those were read.
func (t *tail) refresh(older []roomsapi.Entry) {
	if len(older) == 0 {
		return
	}
	var before *tail // made for the first of them: mostly there is none
	for i := range t.entries {
		e := &t.entries[i]
		if len(e.State) == 0 || e.Message > older[len(older)-1].Seq {
			continue
		}
		if before == nil {
			before = &tail{entries: make([]tailEntry, len(older))}
			for n := range older {
				before.entries[n].Entry = older[n]
			}
		}
		before.fold(e.Message, e.State)
	}
	if before != nil {
		for n := range older {
			older[n] = before.entries[n].Entry
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
