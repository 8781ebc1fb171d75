package check

import (
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
)

// entry is a message of the log; its body is empty where it is an entry of another kind.
func entry(seq chat.Seq, body string) wire.Event {
	e := wire.Event{Type: "message", Seq: seq}
	e.Message.ID, e.Message.Body = seq, body
	if body == "" {
		e.Type = "edited"
	}
	return e
}

func TestCompare(t *testing.T) {
	sent := []message{{6, "a"}, {8, "b"}}
	right := []wire.Event{entry(6, "a"), entry(7, "somebody else"), entry(8, "b")}
	with := func(i int, e wire.Event) []wire.Event {
		changed := append([]wire.Event(nil), right...)
		changed[i] = e
		return changed
	}
	for name, c := range map[string]struct {
		one, two []wire.Event
		want     string
	}{
		"the same":           {right, right, ""},
		"more than asked":    {append(right[:3:3], entry(9, "later")), right, ""},
		"one missed some":    {right, right[:2], "of 3 entries one socket received 3 and the other 2"},
		"a hole":             {right, []wire.Event{right[0], right[2], entry(9, "later")}, "instead of entry 7, one socket received 7 and the other 8"},
		"another order":      {right, []wire.Event{right[1], right[0], right[2]}, "instead of entry 6"},
		"twice":              {[]wire.Event{right[0], right[0], right[1], right[2]}, right, "instead of entry 7, one socket received 6"},
		"another kind":       {right, with(1, entry(7, "")), "entry 7 differs between the two edges"},
		"another body":       {right, with(2, entry(8, "c")), `message 8 was acked as "b"`},
		"another everywhere": {with(0, entry(6, "z")), with(0, entry(6, "z")), `message 6 was acked as "a"`},
	} {
		err := compare(5, 8, c.one, c.two, sent)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
