package room

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

func TestTheTailIsBounded(t *testing.T) {
	t.Parallel()
	var tl tail
	for i := range 2000 {
		tl.add(message(chat.Seq(i+1), strings.Repeat("x", i%2000)))
	}
	if len(tl.entries) > MaxTailEntries || tl.bytes > MaxTailBytes {
		t.Error(len(tl.entries), tl.bytes)
	}
	sum := 0
	for i := range tl.entries {
		sum += tl.entries[i].size()
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

// Fields that this release does not know come through: of an event, whose message is replaced, and of a state.
func TestFieldsOfTomorrowSurvive(t *testing.T) {
	t.Parallel()
	r := open(t)
	deliver := func(seq chat.Seq, kind, event, state string) {
		t.Helper()
		e := roomsapi.Entry{Seq: seq, Kind: kind, Message: 1, Event: json.RawMessage(event)}
		if state != "" {
			e.State = json.RawMessage(state)
		}
		if head := r.Deliver([]roomsapi.Entry{e}); head != seq {
			t.Fatal("the head is", head)
		}
	}
	deliver(1, "message", `{"type":"message","room":"a","seq":1,"thread":{"message":{"id":9}},"message":{"id":1,"body":"old","mood":"fine"},"later":[1]}`, "")
	deliver(2, "edited", `{"type":"edited","room":"a","seq":2,"message":{"id":1,"body":"newer"},"by":"me"}`, `{"id":1,"body":"newer"}`)
	deliver(3, "reacted", `{"type":"reacted","room":"a","seq":3,"message":1,"emoji":"+","shown":{"id":1}}`, `{"id":1,"body":"newest","reactions":[{"emoji":"+","count":1}]}`)
	const state = `{"id":1,"body":"newest","reactions":[{"emoji":"+","count":1}]}`
	want := []string{
		`{"type":"message","room":"a","seq":1,"thread":{"message":{"id":9}},"message":` + state + `,"later":[1]}`,
		`{"type":"edited","room":"a","seq":2,"message":` + state + `,"by":"me"}`,
		`{"type":"reacted","room":"a","seq":3,"message":1,"emoji":"+","shown":{"id":1}}`,
	}
	reader := Reader{Kind: "user"}
	r.Grant(reader, roomsapi.Access{ForAll: true})
	var zero chat.Seq
	replay, _, met, err := r.Admit(nil, reader, Join{After: &zero}, nil)
	events, _, ok, failed := r.Since(0, reader)
	if err != nil || failed != nil || !met || !ok || len(replay.Events) != len(want) || len(events) != len(want) {
		t.Fatal(err, failed, met, ok)
	}
	for i := range want {
		if string(events[i]) != want[i] || string(replay.Events[i]) != want[i] {
			t.Errorf("%s\n%s, want\n%s", events[i], replay.Events[i], want[i])
		}
	}
	fresh, _, _, err := r.Admit(nil, reader, Join{Limit: 10}, nil)
	if err != nil || len(fresh.Messages) != 1 || string(fresh.Messages[0]) != state {
		t.Errorf("%s, %v", fresh.Messages, err)
	}
}

// Hundreds of edits of one message are in the tail, and another one comes.
func BenchmarkFold(b *testing.B) {
	var tl tail
	state := json.RawMessage(`{"id":1,"author":{"id":"u","name":"Ada","kind":"user"},"body":"` + strings.Repeat("x", 100) + `","sent_at":"2026-01-02T03:04:05.678Z"}`)
	var seq chat.Seq
	b.ReportAllocs()
	for b.Loop() {
		seq++
		tl.add(roomsapi.Entry{Seq: seq, Kind: "edited", Message: 1, Event: json.RawMessage(`{"type":"edited","room":"a","seq":1,"message":` + string(state) + `}`), State: state})
	}
}
