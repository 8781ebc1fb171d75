package workload

import (
	"fmt"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/test/chaos/history"
)

// view is a user's view of one room, from a join until it leaves.
type view struct {
	user *user
	room chat.Slug

	// Guarded by the user's mu.
	segment *history.Segment // nil: joins without a cursor
	told    chat.Seq         // entries up to here are a replay
	closed  bool
}

// Joined implements client.RoomHandler.
func (v *view) Joined(joined client.Joined) {
	c := v.user
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.closed {
		return
	}
	observation := c.observations[v.room]
	if joined.Recovered && v.segment != nil {
		c.workload.replays.Add(1)
		if v.segment.Log == joined.Room.Log {
			v.segment.Open, v.told = true, joined.Cursor
			return
		}
		c.workload.report(history.Violation{
			Invariant: history.Recovered, Client: c.name, Room: v.room, Log: v.segment.Log, Seq: v.segment.Cursor(),
			Text: fmt.Sprintf("resumed the log %s and was told that nothing was missed of %s", v.segment.Log, joined.Room.Log),
		})
	}
	if v.segment != nil {
		v.segment.Open = false
		observation.Breaks = append(observation.Breaks, history.Break{Log: v.segment.Log, JoinedLog: joined.Room.Log, After: v.segment.Cursor(), Joined: joined.Cursor})
		if v.segment.Log != joined.Room.Log { // its numbers are another's now
			c.forgetLocked(func(o owned) bool { return o.room == v.room })
		}
	}
	v.told = 0
	v.segment = &history.Segment{Log: joined.Room.Log, Start: joined.Cursor, Whole: !joined.HasMore, Open: true}
	for i := range joined.Messages {
		v.segment.Snapshot = append(v.segment.Snapshot, c.workload.seen.Of(history.SeenMessage("", 0, &joined.Messages[i])))
	}
	observation.Segments = append(observation.Segments, v.segment)
}

// Entry implements client.RoomHandler.
func (v *view) Entry(event wire.Event) {
	c := v.user
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.closed {
		return
	}
	seen := history.SeenEvent(&event)
	if seen.Seq <= v.told {
		seen.ReplayedTo = v.told
	}
	v.segment.Entries = append(v.segment.Entries, c.workload.seen.Of(seen))
}

// Signal implements client.RoomHandler.
func (v *view) Signal(string, []byte) {}

// Left implements client.RoomHandler.
func (v *view) Left(why error) {
	v.user.setOut(v.room, true)
	v.user.workload.report(history.Violation{Client: v.user.name, Room: v.room, Text: fmt.Sprintf("was taken out: %v", why)})
}
