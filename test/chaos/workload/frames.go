package workload

import (
	"encoding/json"
	"fmt"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/test/chaos/history"
)

// frameChecker checks the frames of one client's connections as they come: what the client makes of them
// would hide doubles, and holes that it mends by joining again.
type frameChecker struct {
	user  *user
	rooms map[chat.Slug]*roomFrames // on the present connection
}

type roomFrames struct {
	in   bool
	next chat.Seq
}

// check is client.Options.OnFrame.
func (c *frameChecker) check(frame []byte) {
	var f struct {
		Type      string          `json:"type"`
		ID        *int64          `json:"id"`
		Seq       chat.Seq        `json:"seq"`
		Room      json.RawMessage `json:"room"`
		Cursor    chat.Seq        `json:"cursor"`
		Recovered bool            `json:"recovered"`
		Events    []struct {
			Seq chat.Seq `json:"seq"`
		} `json:"events"`
	}
	if err := json.Unmarshal(frame, &f); err != nil {
		c.user.workload.report(history.Violation{Client: c.user.name, Text: fmt.Sprintf("a frame is no JSON: %.80q", frame)})
		return
	}
	var slug chat.Slug
	if json.Unmarshal(f.Room, &slug) != nil { // the whole room
		var room chat.Room
		_ = json.Unmarshal(f.Room, &room)
		slug = room.Slug
	}
	switch {
	case f.Type == "joined":
		next := f.Cursor + 1 - chat.Seq(len(f.Events))
		if have, known := c.user.cursorOf(slug); f.Recovered && known && next > have+1 {
			c.report(history.Recovered, slug, have, fmt.Sprintf("resumed from %d and was told that nothing was missed up to %d, with what came after %d", have, f.Cursor, next-1))
		}
		for _, event := range f.Events {
			if event.Seq != next {
				c.report(history.WireOrder, slug, event.Seq, fmt.Sprintf("a replay up to %d has %d where %d was next", f.Cursor, event.Seq, next))
			}
			next = event.Seq + 1
		}
		c.rooms[slug] = &roomFrames{in: true, next: f.Cursor + 1}
	case f.Type == "left", f.Type == "kicked", f.Type == "room_deleted":
		c.rooms[slug] = &roomFrames{}
	case f.ID != nil, slug == "", f.Type == "room_created", f.Type == "room_updated":
	case c.rooms[slug] == nil || !c.rooms[slug].in:
		c.report(history.NothingAfterLeft, slug, f.Seq, fmt.Sprintf("%s %d came to one who is not in the room", f.Type, f.Seq))
	case f.Seq > 0:
		room := c.rooms[slug]
		if f.Seq != room.next {
			c.report(history.WireOrder, slug, f.Seq, fmt.Sprintf("the server sent %d where %d was next", f.Seq, room.next))
		}
		room.next = f.Seq + 1
	}
}

func (c *frameChecker) report(invariant string, room chat.Slug, seq chat.Seq, text string) {
	c.user.workload.report(history.Violation{Invariant: invariant, Client: c.user.name, Room: room, Log: c.user.logOf(room), Seq: seq, Text: text})
}
