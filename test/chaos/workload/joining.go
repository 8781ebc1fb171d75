package workload

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/chaos/history"
	"github.com/parley-chat/parley/test/harness"
)

// leave leaves the room for a moment; two of three come back by their cursor, the others anew.
func (c *user) leave(ctx context.Context, room chat.Slug) bool {
	limit, cancel := context.WithTimeout(ctx, c.workload.options.Patience)
	err := c.socket.Leave(limit, room)
	cancel()
	if err != nil && ctx.Err() == nil {
		c.workload.report(history.Violation{Client: c.name, Room: room, Text: fmt.Sprintf("leaving: %v", err)})
	}
	after := c.close(room)
	if c.random.IntN(3) == 0 {
		after = nil
	}
	_ = harness.Pause(ctx, time.Duration(c.random.Int64N(int64(time.Second))))
	c.join(ctx, room, after)
	c.workload.rejoins.Add(1)
	return true
}

// close ends the view of a room and says how far it came; nil if it was never joined.
func (c *user) close(room chat.Slug) *client.Cursor {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.views[room]
	if v == nil {
		return nil
	}
	v.closed = true
	if v.segment == nil {
		return nil
	}
	v.segment.Open = false
	return &client.Cursor{Log: v.segment.Log, Seq: v.segment.Cursor()}
}

func (c *user) join(ctx context.Context, room chat.Slug, after *client.Cursor) {
	v := &view{user: c, room: room}
	c.mu.Lock()
	if c.observations[room] == nil {
		c.observations[room] = &history.Observation{Client: c.name, Room: room}
	}
	if after != nil {
		segments := c.observations[room].Segments
		v.segment = segments[len(segments)-1]
	}
	c.views[room] = v
	c.mu.Unlock()
	limit, cancel := context.WithTimeout(ctx, c.workload.options.Patience)
	defer cancel()
	err := c.socket.Join(limit, room, client.JoinOptions{After: after, Limit: 20}, v)
	c.setOut(room, err != nil)
	if err != nil && ctx.Err() == nil {
		c.workload.report(history.Violation{Client: c.name, Room: room, Text: fmt.Sprintf("joining: %v", err)})
	}
}

// cursorOf is how far the client has applied a room that it is in or comes back to.
func (c *user) cursorOf(room chat.Slug) (chat.Seq, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.views[room]; v != nil && !v.closed && v.segment != nil {
		return v.segment.Cursor(), true
	}
	return 0, false
}

func (c *user) setOut(room chat.Slug, out bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out[room] = out
}

func (c *user) isOut(room chat.Slug) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out[room]
}

func (c *user) logOf(room chat.Slug) chat.LogID {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.views[room]; v != nil && v.segment != nil {
		return v.segment.Log
	}
	return ""
}

// State implements client.Handler.
func (c *user) State(connected bool, _ error) {
	if !connected {
		clear(c.frames.rooms)
		c.workload.reconnects.Add(1)
	}
}

// Frame implements client.Handler.
func (c *user) Frame(string, []byte) {}
