package hub

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

func TestTheTailIsBounded(t *testing.T) {
	var tl tail
	for i := range 5000 {
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
	l := &log{}
	l.append(3)
	for i := range 2000 { // before and after the room is opened
		seq := chat.Seq(4 + i)
		state := json.RawMessage(fmt.Sprintf(`{"id":2,"body":"edit %d"}`, i))
		l.entries = append(l.entries, roomsapi.Entry{Seq: seq, Kind: "edited", Message: 2, Event: json.RawMessage(fmt.Sprintf(`{"seq":%d,"message":%s}`, seq, state)), State: state})
	}
	late := l.entries[1000:]
	l.entries = l.entries[:1000]
	h := newHub(l)
	room := open(t, h)
	room.Deliver(late)
	s := join(t, h, room, &socket{}, nil)
	if len(s.Messages) != 3 || s.HasMore || string(s.Messages[1]) != `{"id":2,"body":"edit 1999"}` {
		t.Errorf("%s, more %v", s.Messages, s.HasMore)
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
