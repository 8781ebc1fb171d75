package feed

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// openTimeout bounds the opening of a room.
const openTimeout = 5 * time.Second

// openings is how many rooms are opened at a time. After a deploy thousands of sockets ask for hundreds of
// rooms at once: asked for all together, answers would come so late that they were asked for again.
const openings = 8

// source is where an open room's entries come from.
type source struct {
	opened chan struct{} // closed when opening has ended
	err    error         // of opening; read after opened

	fill sync.Mutex // held by whoever fills

	mu         sync.Mutex // before the mu of Rooms
	subscribed bool
}

func newSource() any { return &source{opened: make(chan struct{})} }

func sourceOf(r *room.Room) *source { return r.Source.(*source) } //nolint:forcetypeassert,errcheck // Open makes no other

// Open returns the room that access names, opened: its notifications arrive, its tail is in memory. The caller must
// release it from Rooms. Opening goes in this order: subscribe and wait for the confirmation, load the tail from the
// log, read the stream from the tail's head on (the confirmation makes the room be read), then admit.
func (f *Feed) Open(ctx context.Context, tenant chat.TenantID, access roomsapi.Access) (*room.Room, error) {
	if f.Rooms.Held() {
		return nil, room.ErrHeld()
	}
	r, made := f.Rooms.Use(tenant, access, newSource)
	if made {
		f.open(context.WithoutCancel(ctx), r)
	}
	from := sourceOf(r)
	select {
	case <-from.opened:
	case <-ctx.Done():
		f.Rooms.Release(r)
		return nil, chat.Errorf(chat.CodeUnavailable, "the room takes too long to open, try again")
	}
	if from.err != nil {
		f.Rooms.Release(r)
		return nil, from.err
	}
	return r, nil
}

func (f *Feed) open(ctx context.Context, r *room.Room) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	start := time.Now()
	var tail roomsapi.Range
	var latest room.Newest
	var err error = chat.Errorf(chat.CodeUnavailable, "too many rooms are being opened, try again")
	select {
	case f.opening <- struct{}{}:
		tail, latest, err = f.load(ctx, r)
		<-f.opening
	case <-ctx.Done():
	}
	f.metrics.opened(start, err)
	from := sourceOf(r)
	if err != nil {
		from.err = err
		f.Close(ctx, r)
		close(from.opened)
		return
	}
	r.Load(tail, latest)
	close(from.opened)
	f.Look(r) // there may have been notifications since the tail was read
}

// contiguous says whether entries go on after a seq without a hole: the proof that nothing is missing is
// not taken on trust.
func contiguous(entries []roomsapi.Entry, after chat.Seq) bool {
	for i := range entries {
		if after++; entries[i].Seq != after {
			return false
		}
	}
	return true
}

func errHole() error {
	return chat.Errorf(chat.CodeUnavailable, "the room's log is changing, try again")
}

// load subscribes to the room's notifications and reads what memory holds of its log.
func (f *Feed) load(ctx context.Context, r *room.Room) (tail roomsapi.Range, latest room.Newest, err error) {
	if err = f.subscribe(ctx, r); err != nil { // heads and ranges do without it
		f.logger.DebugContext(ctx, "a room opens without notifications", "error", err)
	}
	tail, err = f.log.Tail(ctx, r.ID, room.MaxTailEntries, room.MaxTailBytes)
	if err == nil && tail.Log != r.Key.Log {
		err = chat.Errorf(chat.CodeUnavailable, "the room's log has just been renewed, try again")
	}
	if n := len(tail.Entries); err == nil && n > 0 && !contiguous(tail.Entries, tail.Head-chat.Seq(n)) {
		err = errHole()
	}
	if err == nil {
		latest, err = f.latest(ctx, r.ID, tail)
	}
	return tail, latest, err
}

// latest returns the newest messages as of a room's tail. Mostly the tail holds them, as they are now.
func (f *Feed) latest(ctx context.Context, id chat.RoomID, tail roomsapi.Range) (n room.Newest, err error) {
	for _, e := range tail.Entries {
		if e.Kind == "message" {
			n.Add(e.Message, e.Event)
		}
	}
	whole := len(tail.Entries) == 0 && tail.Head < tail.Floor || len(tail.Entries) > 0 && tail.Entries[0].Seq <= tail.Floor
	if whole || n.More || n.Len() >= room.MaxNewest {
		n.More = n.More || !whole
		return n, nil
	}
	// Up to the tail's head: what is newer is delivered.
	page, err := f.log.History(ctx, id, tail.Head+1, room.MaxNewest)
	return loaded(page), err
}

// loaded makes the newest messages of a page of history, which has the newest first.
func loaded(page roomsapi.History) (n room.Newest) {
	for _, message := range slices.Backward(page.Messages) {
		var named struct {
			ID chat.Seq `json:"id"`
		}
		if json.Unmarshal(message, &named) == nil {
			n.Put(named.ID, message)
		}
	}
	n.More = n.More || page.HasMore
	return n
}

// subscribe subscribes to the room's notifications, unless the room is closed already.
func (f *Feed) subscribe(ctx context.Context, r *room.Room) error {
	from := sourceOf(r)
	from.mu.Lock()
	defer from.mu.Unlock()
	if f.Rooms.ByID(r.ID) != r {
		return room.ErrGone
	}
	from.subscribed = true
	return f.notifications.Subscribe(ctx, r.Key)
}

// unsubscribe takes the subscription of a closed room back, once, whoever closes the room and however often. Another
// Room of the same log may be open by then, with a subscription of its own.
func (f *Feed) unsubscribe(ctx context.Context, r *room.Room) {
	from := sourceOf(r)
	from.mu.Lock()
	defer from.mu.Unlock()
	if from.subscribed {
		f.notifications.Unsubscribe(ctx, r.Key)
	}
	from.subscribed = false
}
