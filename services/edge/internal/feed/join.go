package feed

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// catchUpTimeout bounds how long a join, a poll or an event stream waits for what is known to be in the log.
const catchUpTimeout = 2 * time.Second

// joinTries bounds how often a snapshot is taken anew because so much came, or an event, while its answer was made.
const joinTries = 4

// replays is how many pages are read from the log at a time for those who come from further back than memory
// reaches: a hundred clients that begin at the beginning took the processor from all who talk.
const replays = 2

// replayTimeout bounds such a read with the wait for its turn.
const replayTimeout = 10 * time.Second

// CatchUp waits, for a bounded time, until the room has got as far as the log is known to reach: by an ack of this
// edge, or by a notification. So nobody who has sent something joins behind it. After that time the answer is made of
// what there is.
func (f *Feed) CatchUp(ctx context.Context, r *room.Room) {
	known := r.Known()
	if !r.Behind(known) {
		return
	}
	deadline := time.NewTimer(catchUpTimeout)
	defer deadline.Stop()
	changed := room.NewWatcher()
	r.Watch(changed)
	defer r.Unwatch(changed)
	for r.Behind(known) {
		select {
		case <-changed.C:
		case <-deadline.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Join makes m a member of the open room. answer makes the answer of a snapshot, which takes its time and holds
// nobody up, and returns what hands it to m, without blocking: the next entry that is delivered to m is the
// snapshot's Cursor + 1. answer is called again when the snapshot is out of date by then. A nil m is handed
// nothing more. CodeUnavailable if access must be asked for again.
func (f *Feed) Join(ctx context.Context, r *room.Room, m room.Member, reader room.Reader, j room.Join, answer func(room.Snapshot) (hand func())) error {
	f.CatchUp(ctx, r)
	if j.After != nil && *j.After > r.Head() {
		// The client has seen more than we have: catch up before we judge its cursor.
		if err := f.Fill(ctx, r); err != nil {
			return err
		}
	}
	var older []roomsapi.Entry
	for tries := 0; tries < joinTries; {
		if f.Rooms.Held() {
			return room.ErrHeld()
		}
		s, joining, met, err := r.Admit(m, reader, j, older)
		if err == nil && !met {
			older, err = f.readOlder(ctx, r, *j.After, older)
		}
		if err != nil {
			return err
		}
		if !met {
			continue
		}
		if hand := answer(s); m == nil || r.Finish(joining, hand) {
			f.metrics.resumed(j, s, older)
			return nil
		}
		tries++
	}
	return room.ErrAskAgain
}

// Snapshot takes a snapshot of the room for a reader who follows at its own pace.
func (f *Feed) Snapshot(ctx context.Context, r *room.Room, reader room.Reader, j room.Join) (snapshot room.Snapshot, err error) {
	err = f.Join(ctx, r, nil, reader, j, func(s room.Snapshot) func() {
		snapshot = s
		return nil
	})
	return snapshot, err
}

// readOlder continues older, the entries after a cursor that the tail does not reach back to.
func (f *Feed) readOlder(ctx context.Context, r *room.Room, after chat.Seq, older []roomsapi.Entry) ([]roomsapi.Entry, error) {
	if len(older) > 0 {
		after = older[len(older)-1].Seq
	}
	page, err := f.replay(ctx, r.ID, after)
	if err != nil {
		return nil, err
	}
	if len(page.Entries) == 0 || page.Log != r.Key.Log || !contiguous(page.Entries, after) {
		return nil, errHole()
	}
	r.RaiseFloor(page.Floor)
	return append(older, page.Entries...), nil
}

// replay reads a page after a seq that the tail does not reach back to. Those who ask for the same at the same
// time share one read, and few are under way at once.
func (f *Feed) replay(ctx context.Context, id chat.RoomID, after chat.Seq) (roomsapi.Range, error) {
	reads := f.replays.DoChan(fmt.Sprintf("%d/%d", id, after), func() (any, error) {
		shared, cancel := context.WithTimeout(context.WithoutCancel(ctx), replayTimeout) // others wait for it too
		defer cancel()
		select {
		case f.replaying <- struct{}{}:
			defer func() { <-f.replaying }()
			return f.log.Entries(shared, id, after, room.MaxReplay, room.MaxReplayBytes)
		case <-shared.Done():
			return roomsapi.Range{}, chat.Errorf(chat.CodeUnavailable, "too much is being read, try again")
		}
	})
	select {
	case read := <-reads:
		page, _ := read.Val.(roomsapi.Range)
		return page, read.Err
	case <-ctx.Done():
		return roomsapi.Range{}, chat.Errorf(chat.CodeUnavailable, "reading the room takes too long, try again")
	}
}
