package message

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// Bounds of one answer, whatever is asked for.
const (
	maxEntries   = 1000
	maxBytes     = 4 << 20
	maxHistory   = 100
	historyBytes = 256 << 10
	defaultPage  = 50
)

// Entries returns the entries after a seq, oldest first: limit and bytes at most, but at least one.
func (l *Log) Entries(ctx context.Context, room chat.RoomID, after chat.Seq, limit, bytes int) (roomsapi.Range, error) {
	limit, bytes = bounds(limit, bytes)
	r, items, err := l.store.Read(ctx, room, Span{After: after, Limit: limit, Bytes: bytes})
	if err != nil {
		return roomsapi.Range{}, err
	}
	return rangeOf(r, items, bytes), nil
}

// Tail returns the newest entries, oldest first: limit and bytes at most, but at least one if there is any.
func (l *Log) Tail(ctx context.Context, room chat.RoomID, limit, bytes int) (roomsapi.Range, error) {
	limit, bytes = bounds(limit, bytes)
	r, items, err := l.store.Read(ctx, room, Span{Newest: true, Limit: limit, Bytes: bytes})
	if err != nil {
		return roomsapi.Range{}, err
	}
	answer := rangeOf(r, items, bytes)
	slices.Reverse(answer.Entries)
	return answer, nil
}

func bounds(limit, bytes int) (int, int) {
	if limit <= 0 || limit > maxEntries {
		limit = maxEntries
	}
	if bytes <= 0 || bytes > maxBytes {
		bytes = maxBytes
	}
	return limit, bytes
}

// rangeOf renders items until their JSON reaches bytes. The store has counted bodies alone, and JSON
// may be several times as long.
func rangeOf(room Room, items []ReadEntry, bytes int) roomsapi.Range {
	answer := roomsapi.Range{Log: room.Log, Head: room.Head, Floor: room.Floor, Entries: make([]roomsapi.Entry, 0, len(items))}
	for _, item := range items {
		entry := render(room.Slug, item)
		bytes -= len(entry.Event) + len(entry.State)
		if bytes < 0 && len(answer.Entries) > 0 {
			break
		}
		answer.Entries = append(answer.Entries, entry)
	}
	return answer
}

// Page is a part of a room's messages in their current state.
type Page struct {
	Room     Room
	Messages []json.RawMessage
	HasMore  bool
}

// History returns messages with after < id < before (0: to the end): oldest first with after, newest
// first without. A nil after is none. An after below the floor - 1 is chat.CodeConflict, since
// what came next is gone.
func (l *Log) History(ctx context.Context, room chat.RoomID, after *chat.Seq, before chat.Seq, limit int) (Page, error) {
	if limit <= 0 {
		limit = defaultPage
	}
	limit = min(limit, maxHistory)
	span := Span{Before: before, Newest: after == nil, Messages: true, Limit: limit + 1, Bytes: historyBytes}
	if after != nil {
		span.After = *after
	}
	r, items, err := l.store.Read(ctx, room, span)
	if err != nil {
		return Page{}, err
	}
	if after != nil && *after < r.Floor-1 {
		e := chat.Errorf(chat.CodeConflict, "what came after %d is no longer kept in full", *after)
		e.Details = map[string]any{"floor": r.Floor}
		return Page{}, e
	}
	return pageOf(r, items, limit), nil
}

// Message returns one message in its current state.
func (l *Log) Message(ctx context.Context, room chat.RoomID, id chat.Seq) (json.RawMessage, error) {
	_, items, err := l.store.Read(ctx, room, Span{After: id - 1, Before: id + 1, Messages: true, Limit: 1, Bytes: maxBytes})
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, chat.Errorf(chat.CodeNotFound, "there is no such message")
	}
	return encode(messageOf(&items[0].Entry)), nil
}

// pageOf renders what fits. Where the store stopped for its bytes of bodies, their JSON, being
// longer, does not fit either: so there is more exactly if not all that was read fits.
func pageOf(room Room, items []ReadEntry, limit int) Page {
	page := Page{Room: room, Messages: make([]json.RawMessage, 0, min(limit, len(items)))}
	bytes := historyBytes
	for _, item := range items {
		text := encode(messageOf(&item.Entry))
		bytes -= len(text)
		if len(page.Messages) == limit || bytes < 0 && len(page.Messages) > 0 {
			page.HasMore = true
			return page
		}
		page.Messages = append(page.Messages, text)
	}
	return page
}
