package room

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
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

func TestTheNewestMessagesAreBounded(t *testing.T) {
	var n Newest
	for i := range 500 {
		n.Add(chat.Seq(i+1), json.RawMessage(`{"type":"message","message":"`+strings.Repeat("x", i*20)+`"}`))
	}
	if page, more := n.page(10); len(page) != 10 || !more || string(page[9]) != `"`+strings.Repeat("x", 499*20)+`"` {
		t.Error(len(page), more)
	}
	sum := 0
	for _, m := range n.messages {
		sum += len(m.json)
	}
	if len(n.messages) > MaxNewest || n.bytes > MaxReplayBytes || sum != n.bytes || !n.More {
		t.Error(len(n.messages), n.bytes, sum, n.More)
	}
}
