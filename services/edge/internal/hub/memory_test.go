package hub

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

func TestTheTailIsBounded(t *testing.T) {
	t.Parallel()
	var tl tail
	for i := range 2000 {
		tl.add("a", message(chat.Seq(i+1), strings.Repeat("x", i%2000)))
	}
	if len(tl.entries) > MaxTailEntries || tl.bytes > MaxTailBytes {
		t.Error(len(tl.entries), tl.bytes)
	}
	sum := 0
	for i := range tl.entries {
		sum += size(&tl.entries[i])
	}
	if sum != tl.bytes {
		t.Error("counted", tl.bytes, "holds", sum)
	}
}

func TestEditsDoNotPushMessagesOutOfSight(t *testing.T) {
	t.Parallel()
	l := &log{}
	l.append(3)
	for i := range 600 { // before and after the room is opened
		seq := chat.Seq(4 + i)
		state := json.RawMessage(fmt.Sprintf(`{"id":2,"body":"edit %d"}`, i))
		l.entries = append(l.entries, roomsapi.Entry{Seq: seq, Kind: "edited", Message: 2, Event: json.RawMessage(fmt.Sprintf(`{"seq":%d,"message":%s}`, seq, state)), State: state})
	}
	late := l.entries[530:]
	l.entries = l.entries[:530]
	h := newHub(l)
	room := open(t, h)
	room.Deliver(late)
	s := join(t, h, room, &socket{}, nil)
	if len(s.Messages) != 3 || s.HasMore || string(s.Messages[1]) != `{"id":2,"body":"edit 599"}` {
		t.Errorf("%s, more %v", s.Messages, s.HasMore)
	}
}

// Whoever opens a room sees what its history says, whether the tail held that or not.
func TestARoomOpensWithItsHistory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ messages, edits int }{{0, 0}, {1, 0}, {99, 0}, {100, 0}, {101, 0}, {600, 0}, {30, 490}, {99, 420}, {150, 420}, {600, 420}, {3, 520}} {
		l := &log{}
		l.append(c.messages)
		for i := range c.edits {
			state := json.RawMessage(`{"id":1,"body":"hi"}`)
			seq := chat.Seq(c.messages + i + 1)
			l.entries = append(l.entries, roomsapi.Entry{Seq: seq, Kind: "edited", Message: 1, Event: json.RawMessage(fmt.Sprintf(`{"seq":%d,"message":%s}`, seq, state)), State: state})
		}
		h := newHub(l)
		got := join(t, h, open(t, h), &socket{}, nil)
		want, err := l.History(t.Context(), 1, chat.Seq(len(l.entries)+1), 50)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(want.Messages)
		if fmt.Sprintf("%s %v", got.Messages, got.HasMore) != fmt.Sprintf("%s %v", want.Messages, want.HasMore) {
			t.Errorf("%+v: %d messages, more %v; want %d, %v", c, len(got.Messages), got.HasMore, len(want.Messages), want.HasMore)
		}
	}
}

func TestTheNewestMessagesAreBounded(t *testing.T) {
	var n newest
	for i := range 500 {
		n.add(chat.Seq(i+1), json.RawMessage(`{"type":"message","message":"`+strings.Repeat("x", i*20)+`"}`))
	}
	if page, more := n.page(10); len(page) != 10 || !more || string(page[9]) != `"`+strings.Repeat("x", 499*20)+`"` {
		t.Error(len(page), more)
	}
	sum := 0
	for _, m := range n.messages {
		sum += len(m.json)
	}
	if len(n.messages) > MaxNewest || n.bytes > maxReplayBytes || sum != n.bytes || !n.more {
		t.Error(len(n.messages), n.bytes, sum, n.more)
	}
}
