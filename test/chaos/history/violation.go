package history

import (
	"fmt"
	"strings"

	"github.com/parley-chat/parley/pkg/chat"
)

// The names of the invariants.
const (
	Contiguous       = "seqs-are-1-to-n"
	Once             = "a-nonce-is-one-entry"
	AckedKept        = "acked-is-in-history"
	UnknownOnce      = "sent-again-is-one-message"
	RefusedNot       = "refused-is-not-stored"
	SenderOrder      = "a-senders-order-holds"
	WireOrder        = "the-wire-is-in-order-without-holes"
	NothingAfterLeft = "nothing-after-left"
	Recovered        = "a-cursor-resumes"
	Applied          = "applied-is-a-slice-in-order-once"
	AsLogged         = "seen-is-what-the-log-has"
	ReachedEnd       = "everyone-reaches-the-end"
	SameAfresh       = "applied-events-give-the-room-as-it-loads"
	Answered         = "every-command-is-answered"
)

// Violation is one thing that must never be.
type Violation struct {
	Invariant string     `json:"invariant"`
	Client    string     `json:"client,omitempty"` // the client that saw it
	Room      chat.Slug  `json:"room,omitempty"`
	Log       chat.LogID `json:"log,omitempty"`
	Seq       chat.Seq   `json:"seq,omitempty"`
	Text      string     `json:"text"`
}

// String is one line.
func (v Violation) String() string {
	var where []string
	for _, part := range []string{v.Client, string(v.Room)} {
		if part != "" {
			where = append(where, part)
		}
	}
	return fmt.Sprintf("%s: %s: %s", v.Invariant, strings.Join(where, " in "), v.Text)
}

// around is how many entries before and after a violation a report shows.
const around = 6

// Around tells what surrounds a violation: the rows of the log, what the client saw, what it did.
func (h *History) Around(v Violation) string {
	var b strings.Builder
	for n, epoch := range h.Epochs {
		if log := epoch.Logs[v.Room]; log != nil && (v.Log == "" || log.Name == v.Log) {
			fmt.Fprintf(&b, "the log %s of %s in epoch %d ends at %d; around %d:\n", log.Name, v.Room, n, log.Head(), v.Seq)
			log.around(&b, v)
		}
	}
	for _, s := range h.Observations {
		if v.Client != "" && s.Client == v.Client && s.Room == v.Room {
			s.around(&b, v)
		}
	}
	for i := range h.Operations {
		if d := &h.Operations[i]; v.Room == d.Room && v.Seq != 0 && (v.Client == "" || v.Client == d.Client) && (v.near(d.Acked) || v.near(d.Message)) {
			fmt.Fprintf(&b, "%s: %s %s (message %d, again=%t) started %s, answered %s: %d, %v\n",
				d.Client, d.Kind, d.Nonce, d.Message, d.Resent, d.Started.Format(clock), d.Answered.Format(clock), d.Acked, d.Refused)
		}
	}
	return b.String()
}

func (v Violation) near(seq chat.Seq) bool { return seq >= v.Seq-around && seq <= v.Seq+around }

func (l *Log) around(b *strings.Builder, v Violation) {
	for i := range l.Rows {
		if r := &l.Rows[i]; v.near(r.Seq) {
			fmt.Fprintf(b, "  %d %s of message %d by %s (%s) deleted=%t %.40q\n", r.Seq, r.Kind, r.Message, r.Author, r.Nonce, r.Deleted, r.Body)
		}
	}
}

func (s *Observation) around(b *strings.Builder, v Violation) {
	for _, part := range s.Segments {
		fmt.Fprintf(b, "%s saw of the log %s all from %d to %d\n", s.Client, part.Log, part.Start+1, part.Cursor())
		for _, seen := range part.Entries {
			if (v.Log == "" || v.Log == part.Log) && v.near(seen.Seq) {
				fmt.Fprintf(b, "  %s\n", seen)
			}
		}
	}
	for _, broken := range s.Breaks {
		fmt.Fprintf(b, "%s asked for what came after %d of the log %s and was given the log %s anew at %d\n", s.Client, broken.After, broken.Log, broken.JoinedLog, broken.Joined)
	}
}

const clock = "15:04:05.000"
