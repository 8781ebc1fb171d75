// Package history is what clients of a Parley did and saw while they talked, and the rooms' logs as the server has
// them: what the invariants are checked on.
package history

import (
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
	KindMessage = "message"
	KindEdited  = "edited"
	KindDeleted = "deleted"
)

// Operation is one thing that a client asked for, in the order of its asking in a room.
type Operation struct {
	Client  string
	Author  chat.UserID
	Room    chat.Slug
	Kind    roomsapi.Kind
	Nonce   string   // of the message that is sent, edited or deleted
	Message chat.Seq // that is edited or deleted
	Version int      // of the body: 0 of what was sent, then of each edit
	// Started and Answered are when it was asked for, and when the answer came or was given up.
	Started, Answered time.Time
	// Acked is the message's id for a send, the entry's seq otherwise; 0: not acked.
	Acked chat.Seq
	// Refused is the error that says that it is not stored. Neither this nor Acked: the outcome is unknown.
	Refused error
	// Resent says that the same message was sent before.
	Resent bool
}

// Body is what messages of the workload say: which message it is, and which version of it.
func Body(nonce string, version int) string {
	return fmt.Sprintf("%s v%d and as many words more as people need on average to say what they mean", nonce, version)
}

// ParseBody is the reverse of Body; false for what the workload did not write.
func ParseBody(body string) (nonce string, version int, ok bool) {
	nonce, rest, found := strings.Cut(body, " v")
	number, _, _ := strings.Cut(rest, " ")
	version, err := strconv.Atoi(number)
	return nonce, version, found && err == nil
}

// Observation is what one client saw of one room.
type Observation struct {
	Client   string
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
	// Open says that the client was in the room when the workload ended.
	Open bool
}

// Cursor is how far the segment reaches.
func (s *Segment) Cursor() chat.Seq {
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
	// ReplayedTo is the cursor of the replay that it came in: it shows its message as of then, at least. 0 for
	// what came live.
	ReplayedTo chat.Seq
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

// SeenMessage is a message as it was shown, by an entry of that kind and seq.
func SeenMessage(kind string, seq chat.Seq, m *chat.Message) Seen {
	s := Seen{
		Kind: kind, Seq: seq, ID: m.ID, Author: m.Author.ID, Nonce: m.Nonce, Body: m.Body, ReplyTo: m.ReplyTo, Deleted: m.Deleted || kind == KindDeleted,
	}
	if !m.SentAt.IsZero() {
		s.SentAt = m.SentAt.UnixMilli()
	}
	if m.EditedAt != nil {
		s.EditedAt = m.EditedAt.UnixMilli()
	}
	return s
}

// SeenTable keeps what many clients see once. The zero value is empty.
type SeenTable struct {
	mu    sync.Mutex
	known map[Seen]*Seen
}

// Of returns the one of s.
func (t *SeenTable) Of(s Seen) *Seen {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[Seen]*Seen{}
	}
	if known := t.known[s]; known != nil {
		return known
	}
	t.known[s] = &s
	return &s
}

// SeenEvent is an entry as it was shown.
func SeenEvent(event *wire.Event) Seen {
	return SeenMessage(event.Type, event.Seq, &event.Message.Message)
}
