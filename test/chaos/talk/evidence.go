package talk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// Row is an entry of a log as it stands now: a message that was edited has its last body.
type Row struct {
	Seq     chat.Seq
	Kind    string
	Message chat.Seq // that the entry is about
	Author  chat.UserID
	Nonce   string
	Body    string
	Deleted bool
}

// Log is a room's log, oldest entry first.
type Log struct {
	Room chat.Slug
	Name chat.LogID
	Rows []Row

	index *index
}

// index is what is looked up in a log.
type index struct {
	nonces  map[string][]chat.Seq
	deleted map[chat.Seq]chat.Seq // message → the entry that deleted it
}

func (l *Log) indexed() *index {
	if l.index == nil {
		l.index = &index{nonces: map[string][]chat.Seq{}, deleted: map[chat.Seq]chat.Seq{}}
		for i := range l.Rows {
			switch r := &l.Rows[i]; {
			case r.Kind == kindDeleted:
				l.index.deleted[r.Message] = r.Seq
			case r.Nonce != "":
				l.index.nonces[r.Nonce] = append(l.index.nonces[r.Nonce], r.Seq)
			}
		}
	}
	return l.index
}

// At finds the entry seq, nil for none.
func (l *Log) At(seq chat.Seq) *Row {
	if l == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(l.Rows, seq, func(r Row, seq chat.Seq) int { return cmp.Compare(r.Seq, seq) })
	if !found {
		return nil
	}
	return &l.Rows[i]
}

// Head is the log's end.
func (l *Log) Head() chat.Seq {
	if l == nil || len(l.Rows) == 0 {
		return 0
	}
	return l.Rows[len(l.Rows)-1].Seq
}

// Epoch is the time from one restore from a backup to the next, with the logs as they were at its end.
type Epoch struct {
	// Began is when the services served from these logs; what was acked later is in them, or in those of
	// a later epoch.
	Began time.Time
	// Kept is when the backup that these logs come from was begun: what was acked before it in the epoch
	// before is in them. What was acked after it may be gone.
	Kept time.Time
	Logs map[chat.Slug]*Log
}

// Evidence is all that the invariants are about.
type Evidence struct {
	Epochs   []Epoch // the oldest first; the last one's logs are those of now
	Deeds    []Deed  // in each client's order
	Sights   []*Sight
	Problems []Violation // that were seen while it happened
	// Fresh is each room as it loads now: all its messages, oldest first.
	Fresh map[chat.Slug][]chat.Message
}

// now are the logs at the end.
func (e *Evidence) now() map[chat.Slug]*Log { return e.Epochs[len(e.Epochs)-1].Logs }

// logs are all logs of all epochs.
func (e *Evidence) logs() (all []*Log) {
	for _, epoch := range e.Epochs {
		for _, log := range epoch.Logs {
			all = append(all, log)
		}
	}
	slices.SortStableFunc(all, func(a, b *Log) int { return cmp.Compare(a.Room, b.Room) })
	return all
}

func (e *Evidence) log(room chat.Slug, name chat.LogID) *Log {
	for _, epoch := range e.Epochs {
		if log := epoch.Logs[room]; log != nil && log.Name == name {
			return log
		}
	}
	return nil
}

// epochAt is the epoch that a moment belongs to.
func (e *Evidence) epochAt(at time.Time) int {
	for i := len(e.Epochs) - 1; i > 0; i-- {
		if !e.Epochs[i].Began.After(at) {
			return i
		}
	}
	return 0
}

// span is the epochs in which a deed may have been done.
func (e *Evidence) span(d *Deed) (first, last int) { return e.epochAt(d.Begun), e.epochAt(d.Answered) }

// fits says whether a row is what an acked deed did.
func fits(r *Row, d *Deed) bool {
	if r == nil {
		return false
	}
	switch d.Kind {
	case roomsapi.KindSend:
		return r.Kind == kindMessage && r.Nonce == d.Nonce && (r.Author == d.Author || d.Author == "")
	case roomsapi.KindEdit:
		return r.Kind == kindEdited && r.Message == d.Message
	case roomsapi.KindDelete:
		return r.Kind == kindDeleted && r.Message == d.Message
	}
	return false
}

// Violation is one thing that must never be.
type Violation struct {
	Invariant string     `json:"invariant"`
	Who       string     `json:"who,omitempty"` // the client that saw it
	Room      chat.Slug  `json:"room,omitempty"`
	Log       chat.LogID `json:"log,omitempty"`
	Seq       chat.Seq   `json:"seq,omitempty"`
	Text      string     `json:"text"`
}

// String is one line.
func (v Violation) String() string {
	var where []string
	for _, part := range []string{v.Who, string(v.Room)} {
		if part != "" {
			where = append(where, part)
		}
	}
	return fmt.Sprintf("%s: %s: %s", v.Invariant, strings.Join(where, " in "), v.Text)
}

// around is how many entries before and after a violation a report shows.
const around = 6

// Around tells what surrounds a violation: the rows of the log, what the client saw, what it did.
func (e *Evidence) Around(v Violation) string {
	var b strings.Builder
	for n, epoch := range e.Epochs {
		if log := epoch.Logs[v.Room]; log != nil && (v.Log == "" || log.Name == v.Log) {
			fmt.Fprintf(&b, "the log %s of %s in epoch %d ends at %d; around %d:\n", log.Name, v.Room, n, log.Head(), v.Seq)
			log.around(&b, v)
		}
	}
	for _, s := range e.Sights {
		if v.Who != "" && s.Who == v.Who && s.Room == v.Room {
			s.around(&b, v)
		}
	}
	for i := range e.Deeds {
		if d := &e.Deeds[i]; v.Room == d.Room && v.Seq != 0 && (v.Who == "" || v.Who == d.Who) && (v.near(d.Acked) || v.near(d.Message)) {
			fmt.Fprintf(&b, "%s: %s %s (message %d, again=%t) begun %s, answered %s: %d, %v\n",
				d.Who, d.Kind, d.Nonce, d.Message, d.Again, d.Begun.Format(clock), d.Answered.Format(clock), d.Acked, d.Refused)
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

func (s *Sight) around(b *strings.Builder, v Violation) {
	for _, part := range s.Segments {
		fmt.Fprintf(b, "%s saw of the log %s all from %d to %d\n", s.Who, part.Log, part.Start+1, part.cursor())
		for _, seen := range part.Entries {
			if (v.Log == "" || v.Log == part.Log) && v.near(seen.Seq) {
				fmt.Fprintf(b, "  %s\n", seen)
			}
		}
	}
	for _, broken := range s.Breaks {
		fmt.Fprintf(b, "%s asked for what came after %d of the log %s and was given the log %s anew at %d\n", s.Who, broken.After, broken.Log, broken.JoinedLog, broken.Joined)
	}
}

const clock = "15:04:05.000"
