package checker

import (
	"fmt"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/test/chaos/history"
)

// sureReplay is how many entries are always replayed: a longer gap may be answered with a new beginning.
const sureReplay = 500

// recovered: a cursor resumes, unless the log was renewed or the gap is too long.
func recovered(e *history.History) []history.Violation {
	violations := seenLive(history.Recovered)(e)
	for _, s := range e.Observations {
		for _, b := range s.Breaks {
			if b.Log == b.JoinedLog && b.Joined-b.After <= sureReplay {
				violations = append(violations, violation(history.Recovered, s.Client, s.Room, b.Log, b.After, fmt.Sprintf("asked for what came after %d, was given the newest as of %d", b.After, b.Joined)))
			}
			if b.Log != b.JoinedLog && len(e.Epochs) == 1 {
				violations = append(violations, violation(history.Recovered, s.Client, s.Room, b.Log, b.After, fmt.Sprintf("the log %s is called %s, and nothing was restored", b.Log, b.JoinedLog)))
			}
		}
	}
	return violations
}

// applied: what a client applied is a contiguous slice, in order, once.
func applied(e *history.History) (violations []history.Violation) {
	for _, s := range e.Observations {
		for _, part := range s.Segments {
			next := part.Start + 1
			for _, entry := range part.Entries {
				if entry.Seq != next {
					violations = append(violations, violation(history.Applied, s.Client, s.Room, part.Log, entry.Seq, fmt.Sprintf("applied %d where %d was next", entry.Seq, next)))
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

// editsOf are the edits of each message: all that may show, and since when.
func editsOf(e *history.History, log *history.Log) map[chat.Seq][]state {
	all := map[chat.Seq][]state{}
	for i := range e.Operations {
		d := &e.Operations[i]
		if d.Room != log.Room || d.Kind != roomsapi.KindEdit || d.Refused != nil {
			continue
		}
		edit := state{chat.MaxSeq, d.Nonce, d.Version}
		if d.Acked != 0 && log.At(d.Acked).Did(d) {
			edit.since = d.Acked
		}
		all[d.Message] = append(all[d.Message], edit)
	}
	return all
}

// asLogged: an entry that a client saw is the log's, with its message as it was when it was sent or
// replayed, or as it became later; never as it was before, and never a body that was deleted.
func asLogged(e *history.History) (violations []history.Violation) {
	edits := map[*history.Log]map[chat.Seq][]state{}
	judged := map[*history.Log]map[*history.Seen]string{}
	for _, s := range e.Observations {
		for _, part := range s.Segments {
			log := e.Log(s.Room, part.Log)
			if log == nil {
				violations = append(violations, violation(history.AsLogged, s.Client, s.Room, part.Log, part.Start, "there never was a log of that name"))
				continue
			}
			if edits[log] == nil {
				edits[log], judged[log] = editsOf(e, log), map[*history.Seen]string{}
			}
			for _, entry := range part.Entries {
				wrong, known := judged[log][entry]
				if !known {
					wrong = mismatch(entry, log, edits[log])
					judged[log][entry] = wrong
				}
				if wrong != "" {
					violations = append(violations, violation(history.AsLogged, s.Client, s.Room, log.Name, entry.Seq, "saw "+entry.String()+": "+wrong))
				}
			}
		}
	}
	return violations
}

// mismatch says what is wrong with an entry as it was shown, "" for nothing.
func mismatch(entry *history.Seen, log *history.Log, edits map[chat.Seq][]state) string {
	r := log.At(entry.Seq)
	if r == nil {
		return "the log does not have it"
	}
	if r.Kind != entry.Kind || entry.Kind != history.KindMessage && r.Kind != history.KindEdited && r.Kind != history.KindDeleted {
		return "the log has " + r.Kind
	}
	if r.Message != entry.ID {
		return fmt.Sprintf("the log's is of message %d", r.Message)
	}
	if r.Kind == history.KindDeleted {
		return ""
	}
	m := log.At(r.Message)
	if m == nil || m.Nonce != entry.Nonce || m.Author != "" && m.Author != entry.Author {
		return "its message is another"
	}
	deletion, deleted := log.Deletion(entry.ID)
	switch {
	case entry.Deleted && !deleted:
		return "it was never deleted"
	case entry.Deleted:
		return ""
	case deleted && deletion <= max(entry.Seq, entry.ReplayedTo):
		return fmt.Sprintf("its body was gone since %d", deletion)
	}
	return staleness(entry, m, edits[entry.ID])
}

// staleness says whether a body is one that the message never had, or had no more.
func staleness(entry *history.Seen, m *history.Row, edits []state) string {
	nonce, version, ok := history.ParseBody(entry.Body)
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
		if edit.since <= max(entry.Seq, entry.ReplayedTo) && edit.nonce == nonce && edit.version > version {
			return fmt.Sprintf("since %d it was version %d", edit.since, edit.version)
		}
	}
	return ""
}

// reachedEnd: whoever is in a room has seen its log to the end.
func reachedEnd(e *history.History) (violations []history.Violation) {
	for _, s := range e.Observations {
		log := e.Now()[s.Room]
		if len(s.Segments) == 0 {
			continue // the join that failed is told of
		}
		part := s.Segments[len(s.Segments)-1]
		if part.Open && (log == nil || part.Log != log.Name || part.Cursor() != log.Head()) {
			violations = append(violations, violation(history.ReachedEnd, s.Client, s.Room, part.Log, part.Cursor(), fmt.Sprintf("stopped at %d of the log %s, which ends at %d", part.Cursor(), part.Log, log.Head())))
		}
	}
	return violations
}

// sameAfresh: the events, applied in turn, give the room as it loads afresh.
func sameAfresh(e *history.History) (violations []history.Violation) {
	fresh := map[chat.Slug][]history.Seen{}
	for room, messages := range e.Fresh {
		for i := range messages {
			fresh[room] = append(fresh[room], history.SeenMessage(history.KindMessage, 0, &messages[i]))
		}
	}
	for _, s := range e.Observations {
		if len(s.Segments) == 0 || e.Fresh == nil {
			continue
		}
		part, log := s.Segments[len(s.Segments)-1], e.Now()[s.Room]
		if !part.Open || log == nil || part.Log != log.Name || part.Cursor() != log.Head() {
			continue // told of already
		}
		if id, wrong := differs(part, fresh[s.Room]); wrong != "" {
			violations = append(violations, violation(history.SameAfresh, s.Client, s.Room, part.Log, id, wrong))
		}
	}
	return violations
}

// differs says at which message the replay is not what loads afresh, and how, "" for nowhere.
func differs(s *history.Segment, fresh []history.Seen) (id chat.Seq, wrong string) {
	messages, from := replay(s)
	for len(fresh) > 0 && fresh[0].ID < from {
		fresh = fresh[1:]
	}
	for i := range fresh {
		got, ok := messages[fresh[i].ID]
		got.Kind, got.Seq, got.ReplayedTo = history.KindMessage, 0, 0
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
func replay(s *history.Segment) (messages map[chat.Seq]history.Seen, from chat.Seq) {
	messages, from = map[chat.Seq]history.Seen{}, s.Start+1
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
		case entry.Kind == history.KindDeleted && known:
			m.Body, m.Deleted = "", true
			messages[entry.ID] = m
		case entry.Kind == history.KindMessage, entry.Kind == history.KindEdited && known:
			messages[entry.ID] = *entry
		}
	}
	return messages, from
}
