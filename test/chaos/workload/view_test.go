package workload

import (
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/test/chaos/history"
)

// What a view notes over a resume, a restore of the log and a leave.
func TestAViewNotesWhatItSaw(t *testing.T) {
	w := &Workload{seen: &history.SeenTable{}}
	c := &user{workload: w, name: "ada", observations: map[chat.Slug]*history.Observation{"r": {}}, views: map[chat.Slug]*view{}, own: []owned{{room: "r", id: 3}, {room: "q", id: 4}}}
	v := &view{user: c, room: "r"}
	c.views["r"] = v
	joined := func(log chat.LogID, cursor chat.Seq, recovered bool) {
		v.Joined(client.Joined{Room: chat.Room{Log: log}, Cursor: cursor, Recovered: recovered, HasMore: true})
	}
	entry := func(seq chat.Seq) { v.Entry(wire.Event{Type: history.KindMessage, Seq: seq}) }
	joined("L", 5, false)
	entry(6)
	joined("L", 8, true)
	entry(7)
	entry(8)
	entry(9)
	joined("M", 4, false)
	entry(5)
	if have, known := c.cursorOf("r"); have != 5 || !known || c.logOf("r") != "M" {
		t.Error(have, known, c.logOf("r"))
	}
	after := c.close("r")
	entry(6)
	s := c.observations["r"]
	if len(s.Segments) != 2 || len(s.Breaks) != 1 || s.Breaks[0] != (history.Break{Log: "L", JoinedLog: "M", After: 9, Joined: 4}) || after == nil || *after != (client.Cursor{Log: "M", Seq: 5}) {
		t.Fatalf("%+v, left at %v", s, after)
	}
	var told []chat.Seq
	for _, part := range s.Segments {
		if part.Open {
			t.Error("still open", part)
		}
		for _, e := range part.Entries {
			told = append(told, e.Seq, e.ReplayedTo)
		}
	}
	want := []chat.Seq{6, 0, 7, 8, 8, 8, 9, 0, 5, 0}
	if len(told) != len(want) {
		t.Fatal(told)
	}
	for i := range want {
		if told[i] != want[i] {
			t.Fatal(told)
		}
	}
	if len(c.own) != 1 || c.own[0].room != "q" || w.replays.Load() != 1 || len(w.problems) > 0 {
		t.Error(c.own, w.problems)
	}
	v = &view{user: c, room: "r", segment: s.Segments[1]}
	joined("N", 7, true)
	if len(w.problems) != 1 || w.problems[0].Invariant != history.Recovered {
		t.Error("resumed in another log:", w.problems)
	}
}
