package feed

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// fills bounds how many rooms are filled at a time.
const fills = 16

// ErrRenewed says that the room's log went back in time and has another name now.
var ErrRenewed = errors.New("the room has another log")

// Fill reads what the room's log has beyond what has been delivered, and delivers it.
func (f *Feed) Fill(ctx context.Context, r *room.Room) (err error) {
	start := time.Now()
	defer func() { f.metrics.filledSince(start, err) }()
	from := sourceOf(r)
	from.fill.Lock()
	defer from.fill.Unlock()
	for {
		if f.Rooms.Held() {
			return room.ErrHeld()
		}
		before := r.Head()
		page, err := f.log.Entries(ctx, r.ID, before, room.MaxTailEntries, room.MaxTailBytes)
		if err != nil {
			if chat.CodeOf(err) == chat.CodeNotFound {
				return room.ErrGone
			}
			return err
		}
		if page.Log != r.Key.Log {
			return ErrRenewed
		}
		r.RaiseFloor(page.Floor)
		after := r.Deliver(page.Entries)
		f.metrics.filled.Add(float64(after - before))
		if f.Rooms.Held() { // since the log was asked
			return room.ErrHeld()
		}
		if after >= page.Head || after == before {
			return nil
		}
	}
}

// fillLater takes the room out of the round and fills it in the background, so that it delays no other.
func (f *Feed) fillLater(ctx context.Context, r *room.Room) {
	f.mu.Lock()
	_, already := f.filling[r]
	if !already {
		f.filling[r] = false
	}
	f.mu.Unlock()
	if already {
		return
	}
	f.metrics.missing.Inc()
	f.filled.Go(func() {
		select {
		case f.slots <- struct{}{}:
			defer func() { <-f.slots }()
		case <-ctx.Done():
			return
		}
		err := f.Fill(ctx, r)
		f.mu.Lock()
		again := f.filling[r]
		delete(f.filling, r)
		if err != nil {
			f.fillRetries[r] = struct{}{}
		}
		f.mu.Unlock()
		switch {
		case errors.Is(err, ErrRenewed):
			f.Close(ctx, r) // its log went back in time
		case err != nil:
			f.logger.DebugContext(ctx, "a room could not be filled", slog.Any("error", err))
		case again:
			f.Look(r)
		}
	})
}

// retryFills fills the rooms that could not be filled.
func (f *Feed) retryFills(ctx context.Context) {
	f.mu.Lock()
	retries := f.fillRetries
	f.fillRetries = map[*room.Room]struct{}{}
	f.mu.Unlock()
	for r := range retries {
		if f.Rooms.ByID(r.ID) == r {
			f.fillLater(ctx, r)
		}
	}
}
