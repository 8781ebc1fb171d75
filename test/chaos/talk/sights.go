package talk

import (
	"fmt"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// sureReplay is how many entries are always replayed: a longer gap may be answered with a new beginning.
const sureReplay = 500

// recovered: a cursor resumes, unless the log was renewed or the gap is too long.
func recovered(e *Evidence) []Violation {
	violations := noted(Recovered)(e)
	for _, s := range e.Sights {
		for _, b := range s.Breaks {
			if b.Log == b.JoinedLog && b.Joined-b.After <= sureReplay {
				violations = append(violations, Violation{Recovered, s.Who, s.Room, b.Log, b.After, fmt.Sprintf("asked for what came after %d, was given the newest as of %d", b.After, b.Joined)})
			}
			if b.Log != b.JoinedLog && len(e.Epochs) == 1 {
				violations = append(violations, Violation{Recovered, s.Who, s.Room, b.Log, b.After, fmt.Sprintf("the log %s is called %s, and nothing was restored", b.Log, b.JoinedLog)})
			}
		}
	}
	return violations
}

// applied: what a client applied is a contiguous slice, in order, once.
func applied(e *Evidence) (violations []Violation) {
	for _, s := range e.Sights {
		for _, part := range s.Segments {
			next := part.Start + 1
			for _, entry := range part.Entries {
				if entry.Seq != next {
					violations = append(violations, Violation{Applied, s.Who, s.Room, part.Log, entry.Seq, fmt.Sprintf("applied %d where %d was next", entry.Seq, next)})
				}
				next = entry.Seq + 1
			}
		}
	}
	return violations
}

// state is a message's body that was acked to be that from an entry on.
type state struct {
	since   chat.Seq
	nonce   string
	version int
}

// edits are the edits of each message: all that may show, and since when.
func (e *Evidence) edits(log *Log) map[chat.Seq][]state {
	all := map[chat.Seq][]state{}
	for i := range e.Deeds {
		d := &e.Deeds[i]
		if d.Room != log.Room || d.Kind != roomsapi.KindEdit || d.Refused != nil {
			continue
		}
		edit := state{chat.MaxSeq, d.Nonce, d.Version}
		if d.Acked != 0 && fits(log.At(d.Acked), d) {
			edit.since = d.Acked
		}
		all[d.Message] = append(all[d.Message], edit)
	}
	return all
}

// asLogged: an entry that a client saw is the log's, with its message as it was when it was sent or
// replayed, or as it became later; never as it was before, and never a body that was deleted.
func asLogged(e *Evidence) (violations []Violation) {
	edits := map[*Log]map[chat.Seq][]state{}
	judged := map[*Log]map[*Seen]string{}
	for _, s := range e.Sights {
		for _, part := range s.Segments {
			log := e.log(s.Room, part.Log)
			if log == nil {
				violations = append(violations, Violation{AsLogged, s.Who, s.Room, part.Log, part.Start, "there never was a log of that name"})
				continue
			}
			if edits[log] == nil {
				edits[log], judged[log] = e.edits(log), map[*Seen]string{}
			}
			for _, entry := range part.Entries {
				wrong, known := judged[log][entry]
				if !known {
					wrong = misseen(entry, log, edits[log])
					judged[log][entry] = wrong
				}
				if wrong != "" {
					violations = append(violations, Violation{AsLogged, s.Who, s.Room, log.Name, entry.Seq, "saw " + entry.String() + ": " + wrong})
				}
			}
		}
	}
	return violations
}

// misseen says what is wrong with an entry as it was shown, "" for nothing.
func misseen(entry *Seen, log *Log, edits map[chat.Seq][]state) string {
	r := log.At(entry.Seq)
	if r == nil {
		return "the log does not have it"
	}
	if r.Kind != entry.Kind || entry.Kind != kindMessage && r.Kind != kindEdited && r.Kind != kindDeleted {
		return "the log has " + r.Kind
	}
	if r.Message != entry.ID {
		return fmt.Sprintf("the log's is of message %d", r.Message)
	}
	if r.Kind == kindDeleted {
		return ""
	}
	m := log.At(r.Message)
	if m == nil || m.Nonce != entry.Nonce || m.Author != "" && m.Author != entry.Author {
		return "its message is another"
	}
	deletion, deleted := log.indexed().deleted[entry.ID]
	switch {
	case entry.Deleted && !deleted:
		return "it was never deleted"
	case entry.Deleted:
		return ""
	case deleted && deletion <= max(entry.Seq, entry.Told):
		return fmt.Sprintf("its body was gone since %d", deletion)
	}
	return staleness(entry, m, edits[entry.ID])
}

// staleness says whether a body is one that the message never had, or had no more.
func staleness(entry *Seen, m *Row, edits []state) string {
	nonce, version, ok := versionOf(entry.Body)
	if !ok {
		return "" // not ours
	}
	known := version == 0 && nonce == m.Nonce
	for _, edit := range edits {
		known = known || edit.nonce == nonce && edit.version == version
	}
	if !known {
		return "nobody wrote this"
	}
	for _, edit := range edits {
		if edit.since <= max(entry.Seq, entry.Told) && edit.nonce == nonce && edit.version > version {
			return fmt.Sprintf("since %d it was version %d", edit.since, edit.version)
		}
	}
	return ""
}

// reachedEnd: whoever is in a room has seen its log to the end.
func reachedEnd(e *Evidence) (violations []Violation) {
	for _, s := range e.Sights {
		log := e.now()[s.Room]
		if len(s.Segments) == 0 {
			continue // the join that failed is told of
		}
		part := s.Segments[len(s.Segments)-1]
		if part.Open && (log == nil || part.Log != log.Name || part.cursor() != log.Head()) {
			violations = append(violations, Violation{ReachedEnd, s.Who, s.Room, part.Log, part.cursor(), fmt.Sprintf("stopped at %d of the log %s, which ends at %d", part.cursor(), part.Log, log.Head())})
		}
	}
	return violations
}

// sameAfresh: the events, applied in turn, give the room as it loads afresh.
func sameAfresh(e *Evidence) (violations []Violation) {
	fresh := map[chat.Slug][]Seen{}
	for room, messages := range e.Fresh {
		for i := range messages {
			fresh[room] = append(fresh[room], seenOf(kindMessage, 0, &messages[i]))
		}
	}
	for _, s := range e.Sights {
		if len(s.Segments) == 0 || e.Fresh == nil {
			continue
		}
		part, log := s.Segments[len(s.Segments)-1], e.now()[s.Room]
		if !part.Open || log == nil || part.Log != log.Name || part.cursor() != log.Head() {
			continue // told of already
		}
		if id, wrong := part.differs(fresh[s.Room]); wrong != "" {
			violations = append(violations, Violation{SameAfresh, s.Who, s.Room, part.Log, id, wrong})
		}
	}
	return violations
}

// differs says at which message the replay is not what loads afresh, and how, "" for nowhere.
func (s *Segment) differs(fresh []Seen) (id chat.Seq, wrong string) {
	messages, from := s.replay()
	for len(fresh) > 0 && fresh[0].ID < from {
		fresh = fresh[1:]
	}
	for i := range fresh {
		got, ok := messages[fresh[i].ID]
		got.Kind, got.Seq, got.Told = kindMessage, 0, 0
		if !ok || got != fresh[i] {
			return fresh[i].ID, fmt.Sprintf("has message %d as %+v, it loads as %+v", fresh[i].ID, got, fresh[i])
		}
	}
	if len(messages) > len(fresh) {
		return from, fmt.Sprintf("has %d messages from %d on, %d load", len(messages), from, len(fresh))
	}
	return 0, ""
}

// replay applies the events, as a client does: messages from an id on, all of them.
func (s *Segment) replay() (messages map[chat.Seq]Seen, from chat.Seq) {
	messages, from = map[chat.Seq]Seen{}, s.Start+1
	if s.Whole {
		from = 1
	} else if len(s.Snapshot) > 0 {
		from = s.Snapshot[0].ID
	}
	for _, m := range s.Snapshot {
		messages[m.ID] = *m
	}
	for _, entry := range s.Entries {
		m, known := messages[entry.ID]
		switch {
		case entry.Kind == kindDeleted && known:
			m.Body, m.Deleted = "", true
			messages[entry.ID] = m
		case entry.Kind == kindMessage, entry.Kind == kindEdited && known:
			messages[entry.ID] = *entry
		}
	}
	return messages, from
}
