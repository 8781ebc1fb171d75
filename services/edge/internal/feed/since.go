package feed

import (
	"context"
	"encoding/json"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// Since returns events after a cursor, oldest first and at most a page of them, from memory or from
// the log, for a reader who follows at its own pace, and the cursor behind them.
// CodeConflict says that the cursor can't be continued, with details.floor and details.head;
// CodeUnavailable that access must be asked for again.
func (f *Feed) Since(ctx context.Context, r *room.Room, reader room.Reader, after chat.Seq, log chat.LogID) ([]json.RawMessage, chat.Seq, error) {
	if f.Rooms.Held() {
		return nil, after, room.ErrHeld()
	}
	events, head, ok, err := r.Since(after, reader)
	if err != nil {
		return nil, after, err
	}
	if after > head {
		if err = f.Fill(ctx, r); err != nil {
			return nil, after, err
		}
		if events, head, ok, err = r.Since(after, reader); err != nil {
			return nil, after, err
		}
	}
	if info := r.Info(); after > head || after < info.Floor-1 || log != "" && log != info.Log {
		return nil, after, &chat.Error{
			Code: chat.CodeConflict, Message: "the room's log can't be continued from there",
			Details: map[string]any{"floor": info.Floor, "head": head, "log": info.Log},
		}
	}
	if ok && room.Bytes(events) <= room.MaxReplayBytes {
		return events, after + chat.Seq(len(events)), nil
	}
	page, err := f.readOlder(ctx, r, after, nil)
	if err != nil {
		return nil, after, err
	}
	if _, _, _, err = r.Since(head, reader); err != nil { // access may have gone meanwhile
		return nil, after, err
	}
	events = make([]json.RawMessage, 0, len(page))
	for i := range page {
		events = append(events, page[i].Event)
	}
	return events, after + chat.Seq(len(events)), nil
}
