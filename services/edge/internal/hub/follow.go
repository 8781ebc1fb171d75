package hub

import (
	"context"
	"encoding/json"

	"github.com/parley-chat/parley/pkg/chat"
)

// Since returns events after a cursor, oldest first and at most a page of them, from memory or from
// the log, for a reader of that class who follows at its own pace, and the cursor behind them.
// CodeConflict says that the cursor can't be continued, with details.floor and details.head;
// CodeUnavailable that access must be asked for again.
func (h *Hub) Since(ctx context.Context, room *Room, class string, after chat.Seq, log chat.LogID) ([]json.RawMessage, chat.Seq, error) {
	if h.Held() {
		return nil, after, ErrHeld()
	}
	events, head, ok, err := room.Since(after, class)
	if err != nil {
		return nil, after, err
	}
	if after > head {
		if err = h.Fill(ctx, room); err != nil {
			return nil, after, err
		}
		if events, head, ok, err = room.Since(after, class); err != nil {
			return nil, after, err
		}
	}
	if info := room.Info(); after > head || after < info.Floor-1 || log != "" && log != info.Log {
		return nil, after, &chat.Error{
			Code: chat.CodeConflict, Message: "the room's log can't be continued from there",
			Details: map[string]any{"floor": info.Floor, "head": head, "log": info.Log},
		}
	}
	if ok && length(events) <= maxReplayBytes {
		return events, after + chat.Seq(len(events)), nil
	}
	page, err := h.readOlder(ctx, room, after, nil)
	if err != nil {
		return nil, after, err
	}
	if _, _, _, err = room.Since(head, class); err != nil { // access may have gone meanwhile
		return nil, after, err
	}
	events = make([]json.RawMessage, 0, len(page))
	for i := range page {
		events = append(events, page[i].Event)
	}
	return events, after + chat.Seq(len(events)), nil
}

// Admit takes a snapshot of the room for a reader who follows at its own pace.
func (h *Hub) Admit(ctx context.Context, room *Room, class string, lobbySeq chat.Seq, j Join) (snapshot Snapshot, err error) {
	err = h.Join(ctx, room, nil, class, lobbySeq, j, func(s Snapshot) func() {
		snapshot = s
		return nil
	})
	return snapshot, err
}
