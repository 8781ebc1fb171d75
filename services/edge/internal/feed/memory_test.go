package feed

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

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
	h := newFeed(l)
	r := open(t, h)
	r.Deliver(late)
	s := join(t, h, r, &socket{}, nil)
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
		h := newFeed(l)
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
