package cluster

import (
	"fmt"
	"slices"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
)

// What the guarantees say of a room's log and of what clients saw of it, as plain functions. Each
// returns one line per violation.

// row is an entry of a room's log, as the database has it.
type row struct {
	seq    chat.Seq
	author chat.UserID
	nonce  string
	body   string
}

// sight is what one client saw of one room: the cursor that it started from, then every entry.
type sight struct {
	who     string
	room    chat.Slug
	start   chat.Seq
	entries []row
}

// sent is a message that a client sent, in the order of its sending to one room.
type sent struct {
	who   string
	room  chat.Slug
	nonce string
	// acked is the id that the server answered, 0 for an outcome that the client never learned.
	acked chat.Seq
}

type histories map[chat.Slug][]row

// checkNoHoles: a log is 1..n.
func checkNoHoles(all histories) (violations []string) {
	for room, log := range all {
		for i, r := range log {
			if want := chat.Seq(i + 1); r.seq != want {
				violations = append(violations, fmt.Sprintf("%s: entry %d of the log has seq %d", room, want, r.seq))
				break
			}
		}
	}
	return violations
}

// checkOnce: no two entries share author and nonce.
func checkOnce(all histories) (violations []string) {
	for room, log := range all {
		seen := map[string]chat.Seq{}
		for _, r := range log {
			key := string(r.author) + " " + r.nonce
			if first, doubled := seen[key]; doubled && r.nonce != "" {
				violations = append(violations, fmt.Sprintf("%s: %d and %d are the same message (%s)", room, first, r.seq, r.nonce))
			}
			seen[key] = r.seq
		}
	}
	return violations
}

// checkSight: what a client saw is a contiguous slice of the log, up to its end, in order.
func checkSight(s sight, log []row) (violations []string) {
	complain := func(format string, args ...any) {
		violations = append(violations, s.who+" in "+string(s.room)+": "+fmt.Sprintf(format, args...))
	}
	next := s.start + 1
	for _, e := range s.entries {
		switch {
		case e.seq > next:
			complain("a hole: %d came where %d was next", e.seq, next)
		case e.seq < next:
			complain("%d came again or late, %d was next", e.seq, next)
		case int(e.seq) > len(log):
			complain("saw %d, which the log does not have", e.seq)
		case log[e.seq-1] != e:
			complain("saw %+v, the log has %+v", e, log[e.seq-1])
		}
		next = max(next, e.seq) + 1
	}
	if last := next - 1; int(last) < len(log) {
		complain("stopped at %d of %d", last, len(log))
	}
	return violations
}

// checkAcked: every acked message is in the log once, at the id that was acked.
func checkAcked(messages []sent, all histories) (violations []string) {
	for _, m := range messages {
		var at []chat.Seq
		for _, r := range all[m.room] {
			if r.nonce == m.nonce {
				at = append(at, r.seq)
			}
		}
		switch {
		case m.acked == 0 && len(at) <= 1:
		case len(at) != 1:
			violations = append(violations, fmt.Sprintf("%s in %s: the message %s, acked as %d, is in the log %d times", m.who, m.room, m.nonce, m.acked, len(at)))
		case m.acked != at[0]:
			violations = append(violations, fmt.Sprintf("%s in %s: the message %s was acked as %d and is %d", m.who, m.room, m.nonce, m.acked, at[0]))
		}
	}
	return violations
}

// checkSenders: what one sender sent to a room stands in the log in the order of its sending.
func checkSenders(messages []sent, all histories) (violations []string) {
	place := map[string]chat.Seq{}
	for _, log := range all {
		for _, r := range log {
			place[r.nonce] = r.seq
		}
	}
	type lane struct {
		who  string
		room chat.Slug
	}
	last := map[lane]chat.Seq{}
	for _, m := range messages {
		seq, there := place[m.nonce]
		l := lane{m.who, m.room}
		if there && seq < last[l] {
			violations = append(violations, fmt.Sprintf("%s in %s: %d was sent after %d", m.who, m.room, seq, last[l]))
		}
		last[l] = max(last[l], seq)
	}
	return violations
}

// The checks find what they are for.
func TestChecksFindPlantedViolations(t *testing.T) {
	good := func() (histories, sight, []sent) {
		log := []row{{1, "a", "n1", "one"}, {2, "b", "n2", "two"}, {3, "a", "n3", "three"}, {4, "a", "n4", "four"}}
		return histories{"r": log}, sight{"a", "r", 1, slices.Clone(log[1:])},
			[]sent{{"a", "r", "n1", 1}, {"a", "r", "n3", 3}, {"a", "r", "n4", 4}, {"b", "r", "n2", 0}, {"b", "r", "n5", 0}}
	}
	for name, c := range map[string]struct {
		plant func(all histories, s *sight, messages []sent)
		found string // the check that finds it, "" for none
	}{
		"nothing":            {func(histories, *sight, []sent) {}, ""},
		"hole in the log":    {func(all histories, _ *sight, _ []sent) { all["r"][3].seq = 5 }, "holes"},
		"same nonce twice":   {func(all histories, _ *sight, _ []sent) { all["r"][3].nonce = "n1" }, "once"},
		"hole in the sight":  {func(_ histories, s *sight, _ []sent) { s.entries = slices.Delete(s.entries, 1, 2) }, "sight"},
		"double":             {func(_ histories, s *sight, _ []sent) { s.entries = slices.Insert(s.entries, 1, s.entries[0]) }, "sight"},
		"reorder":            {func(_ histories, s *sight, _ []sent) { s.entries[0], s.entries[1] = s.entries[1], s.entries[0] }, "sight"},
		"stopped early":      {func(_ histories, s *sight, _ []sent) { s.entries = s.entries[:2] }, "sight"},
		"another body":       {func(_ histories, s *sight, _ []sent) { s.entries[0].body = "zwei" }, "sight"},
		"beyond the log":     {func(_ histories, s *sight, _ []sent) { s.entries = append(s.entries, row{seq: 5}) }, "sight"},
		"lost ack":           {func(_ histories, _ *sight, messages []sent) { messages[4].acked = 5 }, "acked"},
		"acked as another":   {func(_ histories, _ *sight, messages []sent) { messages[1].acked = 2 }, "acked"},
		"unknown came twice": {func(all histories, _ *sight, _ []sent) { all["r"][2].nonce = "n2" }, "acked"},
		"sender's order":     {func(_ histories, _ *sight, messages []sent) { messages[1], messages[2] = messages[2], messages[1] }, "senders"},
	} {
		t.Run(name, func(t *testing.T) {
			all, s, messages := good()
			c.plant(all, &s, messages)
			found := map[string][]string{
				"holes": checkNoHoles(all), "once": checkOnce(all), "sight": checkSight(s, all["r"]),
				"acked": checkAcked(messages, all), "senders": checkSenders(messages, all),
			}
			for check, violations := range found {
				if c.found == "" && len(violations) > 0 {
					t.Error(check, violations)
				}
			}
			if c.found != "" && len(found[c.found]) == 0 {
				t.Errorf("%s found nothing; all: %v", c.found, found)
			}
		})
	}
}
