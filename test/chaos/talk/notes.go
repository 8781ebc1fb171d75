package talk

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/wire"
)

// Kinds of entries.
const (
	kindMessage = "message"
	kindEdited  = "edited"
	kindDeleted = "deleted"
)

// Deed is one thing that a client asked for, in the order of its asking in a room.
type Deed struct {
	Who     string
	Author  chat.UserID
	Room    chat.Slug
	Kind    roomsapi.Kind
	Nonce   string   // of the message that is sent, edited or deleted
	Message chat.Seq // that is edited or deleted
	Version int      // of the body: 0 of what was sent, then of each edit
	// Begun and Answered are when it was asked for, and when the answer came or was given up.
	Begun, Answered time.Time
	// Acked is the message's id for a send, the entry's seq otherwise; 0: not acked.
	Acked chat.Seq
	// Refused is the error that says that it is not stored. Neither this nor Acked: the outcome is unknown.
	Refused error
	// Again says that the same message was sent before.
	Again bool
}

// Body is what messages of the talk say: which message it is, and which version of it.
func Body(nonce string, version int) string {
	return fmt.Sprintf("%s v%d and as many words more as people need on average to say what they mean", nonce, version)
}

// versionOf is the reverse of Body; false for what the talk did not write.
func versionOf(body string) (nonce string, version int, ok bool) {
	nonce, rest, found := strings.Cut(body, " v")
	number, _, _ := strings.Cut(rest, " ")
	version, err := strconv.Atoi(number)
	return nonce, version, found && err == nil
}

// Sight is what one client saw of one room.
type Sight struct {
	Who      string
	Room     chat.Slug
	Segments []*Segment
	Breaks   []Break
}

// Segment is what was seen without a break: the newest messages as of the entry Start, then every
// entry after it.
type Segment struct {
	Log      chat.LogID
	Start    chat.Seq
	Snapshot []*Seen // messages, oldest first
	Whole    bool    // there are no older messages than those of the snapshot
	Entries  []*Seen
	// Open says that the client was in the room when the talk ended.
	Open bool
}

// cursor is how far the segment reaches.
func (s *Segment) cursor() chat.Seq {
	if len(s.Entries) == 0 {
		return s.Start
	}
	return s.Entries[len(s.Entries)-1].Seq
}

// Break is a join with a cursor that was answered with another beginning.
type Break struct {
	Log, JoinedLog chat.LogID
	After, Joined  chat.Seq
}

// Seen is an entry, or a message of a snapshot (Seq 0), as it was shown.
type Seen struct {
	Kind     string
	Seq      chat.Seq
	ID       chat.Seq
	Author   chat.UserID
	Nonce    string
	Body     string
	ReplyTo  chat.Seq
	SentAt   int64 // milliseconds, as is EditedAt; 0 for never
	EditedAt int64
	Deleted  bool
	// Told is the cursor of the replay that it came in: it shows its message as of then, at least. 0 for
	// what came live.
	Told chat.Seq
}

// String is for reports.
func (s *Seen) String() string {
	text := fmt.Sprintf("%d %s of message %d", s.Seq, s.Kind, s.ID)
	if s.Nonce != "" {
		text += " (" + s.Nonce + ")"
	}
	if s.Deleted {
		return text + " deleted"
	}
	return text + fmt.Sprintf(" %.40q", s.Body)
}

func seenOf(kind string, seq chat.Seq, m *chat.Message) Seen {
	s := Seen{
		Kind: kind, Seq: seq, ID: m.ID, Author: m.Author.ID, Nonce: m.Nonce, Body: m.Body, ReplyTo: m.ReplyTo, Deleted: m.Deleted || kind == kindDeleted,
	}
	if !m.SentAt.IsZero() {
		s.SentAt = m.SentAt.UnixMilli()
	}
	if m.EditedAt != nil {
		s.EditedAt = m.EditedAt.UnixMilli()
	}
	return s
}

// seenTable keeps what many clients see once.
type seenTable struct {
	mu    sync.Mutex
	known map[Seen]*Seen
}

func (t *seenTable) of(s Seen) *Seen {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.known[s]; known != nil {
		return known
	}
	t.known[s] = &s
	return &s
}

// ear listens to the frames of one client's connections as they come: what the client makes of them
// would hide doubles, and holes that it mends by joining again.
type ear struct {
	talker *talker
	rooms  map[chat.Slug]*heard // on the present connection
}

type heard struct {
	in   bool
	next chat.Seq
}

// hear is client.Options.Heard.
func (e *ear) hear(frame []byte) {
	var f struct {
		Type      string          `json:"type"`
		ID        *int64          `json:"id"`
		Seq       chat.Seq        `json:"seq"`
		Room      json.RawMessage `json:"room"`
		Cursor    chat.Seq        `json:"cursor"`
		Recovered bool            `json:"recovered"`
		Events    []struct {
			Seq chat.Seq `json:"seq"`
		} `json:"events"`
	}
	if err := json.Unmarshal(frame, &f); err != nil {
		e.talker.talk.complain(Violation{Who: e.talker.who, Text: fmt.Sprintf("a frame is no JSON: %.80q", frame)})
		return
	}
	var slug chat.Slug
	if json.Unmarshal(f.Room, &slug) != nil { // the whole room
		var room chat.Room
		_ = json.Unmarshal(f.Room, &room)
		slug = room.Slug
	}
	switch {
	case f.Type == "joined":
		next := f.Cursor + 1 - chat.Seq(len(f.Events))
		if have, known := e.talker.cursorOf(slug); f.Recovered && known && next > have+1 {
			e.complain(Recovered, slug, have, fmt.Sprintf("resumed from %d and was told that nothing was missed up to %d, with what came after %d", have, f.Cursor, next-1))
		}
		for _, event := range f.Events {
			if event.Seq != next {
				e.complain(WireOrder, slug, event.Seq, fmt.Sprintf("a replay up to %d has %d where %d was next", f.Cursor, event.Seq, next))
			}
			next = event.Seq + 1
		}
		e.rooms[slug] = &heard{in: true, next: f.Cursor + 1}
	case f.Type == "left", f.Type == "kicked", f.Type == "room_deleted":
		e.rooms[slug] = &heard{}
	case f.ID != nil, slug == "", f.Type == "room_created", f.Type == "room_updated":
	case e.rooms[slug] == nil || !e.rooms[slug].in:
		e.complain(NothingAfterLeft, slug, f.Seq, fmt.Sprintf("%s %d came to one who is not in the room", f.Type, f.Seq))
	case f.Seq > 0:
		room := e.rooms[slug]
		if f.Seq != room.next {
			e.complain(WireOrder, slug, f.Seq, fmt.Sprintf("the server sent %d where %d was next", f.Seq, room.next))
		}
		room.next = f.Seq + 1
	}
}

func (e *ear) complain(invariant string, room chat.Slug, seq chat.Seq, text string) {
	e.talker.talk.complain(Violation{Invariant: invariant, Who: e.talker.who, Room: room, Log: e.talker.logOf(room), Seq: seq, Text: text})
}

// eventSeen is an entry as it was shown.
func eventSeen(event *wire.Event) Seen { return seenOf(event.Type, event.Seq, &event.Message.Message) }
