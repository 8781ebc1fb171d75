package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
)

// Join says how somebody comes in: where After is given, with what came since that cursor.
type Join struct {
	After *chat.Seq
	Log   chat.LogID // of the cursor, "" if the client did not say
	Limit int        // messages, where there is nothing to resume

	lobby chat.Seq // of the access decision
}

// Open returns the room that access names, opened: its bell is heard, its tail is in memory. The
// caller must Release it. Opening goes in this order: subscribe the bell and wait for the
// confirmation, load the tail from the log, read the stream from the tail's head on (the bell's
// confirmation makes the tailer look), then admit.
func (h *Hub) Open(ctx context.Context, tenant chat.TenantID, access roomsapi.Access) (*Room, error) {
	if h.Held() {
		return nil, ErrHeld()
	}
	h.mu.Lock()
	room := h.rooms[access.ID]
	mine := room == nil
	if mine {
		event, _ := h.events.Get(access.ID)
		room = &Room{
			ID: access.ID, Tenant: tenant, Slug: access.Room.Slug, Key: stream.Room{Tenant: tenant, Log: access.Room.Log},
			opened: make(chan struct{}), info: *access.Room, infoAt: access.Lobby, event: event, idle: time.Now(), held: &h.held,
			members: map[Member]struct{}{}, watchers: map[*Watcher]struct{}{}, access: map[string]bool{},
		}
		h.rooms[room.ID], h.byKey[room.Key], h.bySlug[address{tenant, room.Slug}] = room, room, room
		h.metrics.rooms.Set(float64(len(h.rooms)))
	}
	room.using++
	h.mu.Unlock()

	if mine {
		h.open(context.WithoutCancel(ctx), room)
	} else {
		room.mu.Lock()
		room.learn(access.Lobby, access.Room) // it may have been opened by an older answer
		room.mu.Unlock()
	}
	select {
	case <-room.opened:
	case <-ctx.Done():
		h.Release(room)
		return nil, chat.Errorf(chat.CodeUnavailable, "the room takes too long to open, try again")
	}
	if room.openErr != nil {
		h.Release(room)
		return nil, room.openErr
	}
	return room, nil
}

// Release says that whoever opened the room does not need it any longer to stay open.
func (h *Hub) Release(room *Room) {
	room.mu.Lock()
	room.idle = time.Now()
	room.mu.Unlock()
	h.mu.Lock()
	room.using--
	h.mu.Unlock()
}

func (h *Hub) open(ctx context.Context, room *Room) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	start := time.Now()
	var tail roomsapi.Range
	var latest newest
	var err error = chat.Errorf(chat.CodeUnavailable, "too many rooms are being opened, try again")
	select {
	case h.opening <- struct{}{}:
		tail, latest, err = h.load(ctx, room)
		<-h.opening
	case <-ctx.Done():
	}
	h.metrics.opened(start, err)
	if err != nil {
		h.mu.Lock()
		if h.rooms[room.ID] == room {
			h.forget(room)
		}
		h.mu.Unlock()
		room.hushBell(ctx, h.bell)
		room.openErr = err
		close(room.opened)
		return
	}
	room.mu.Lock()
	for _, e := range tail.Entries {
		room.tail.add(room.Slug, e)
	}
	room.newest = latest
	room.head, room.floor, room.ready = tail.Head, tail.Floor, true
	room.mu.Unlock()
	close(room.opened)
	h.opened(room) // bells may have rung since the tail was read
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

// load subscribes the room's bell and reads what memory holds of its log.
func (h *Hub) load(ctx context.Context, room *Room) (tail roomsapi.Range, latest newest, err error) {
	if err = room.hearBell(ctx, h.bell); err != nil { // heads and ranges do without it
		h.logger.DebugContext(ctx, "a room opens without its bell", "error", err)
	}
	tail, err = h.log.Tail(ctx, room.ID, MaxTailEntries, MaxTailBytes)
	if err == nil && tail.Log != room.Key.Log {
		err = chat.Errorf(chat.CodeUnavailable, "the room's log has just been renewed, try again")
	}
	if n := len(tail.Entries); err == nil && n > 0 && !contiguous(tail.Entries, tail.Head-chat.Seq(n)) {
		err = errHole()
	}
	if err == nil {
		latest, err = h.latest(ctx, room.ID, tail)
	}
	return tail, latest, err
}

// latest returns the newest messages as of a room's tail. Mostly the tail holds them, as they are now.
func (h *Hub) latest(ctx context.Context, room chat.RoomID, tail roomsapi.Range) (n newest, err error) {
	for _, e := range tail.Entries {
		if e.Kind == "message" {
			n.add(e.Message, e.Event)
		}
	}
	whole := len(tail.Entries) == 0 && tail.Head < tail.Floor || len(tail.Entries) > 0 && tail.Entries[0].Seq <= tail.Floor
	if whole || n.more || len(n.messages) >= MaxNewest {
		n.more = n.more || !whole
		return n, nil
	}
	// Up to the tail's head: what is newer is delivered.
	page, err := h.log.History(ctx, room, tail.Head+1, MaxNewest)
	return loaded(page), err
}

// loaded makes the newest messages of a page of history, which has the newest first.
func loaded(page roomsapi.History) (n newest) {
	for _, message := range slices.Backward(page.Messages) {
		var named struct {
			ID chat.Seq `json:"id"`
		}
		if json.Unmarshal(message, &named) == nil {
			n.put(kept{id: named.ID, json: message})
		}
	}
	n.more = n.more || page.HasMore
	return n
}

// catchUpTimeout bounds how long a join, a poll or an event stream waits for what is known to be in the log.
const catchUpTimeout = 2 * time.Second

// CatchUp waits, for a bounded time, until the room has got as far as the log is known to reach: by an ack of this
// edge, or by a notification. So nobody who has sent something joins behind it. After that time the answer is made of
// what there is.
func (h *Hub) CatchUp(ctx context.Context, room *Room) {
	known := room.known()
	if !room.behind(known) {
		return
	}
	deadline := time.NewTimer(catchUpTimeout)
	defer deadline.Stop()
	news := NewWatcher()
	room.Watch(news)
	defer room.Unwatch(news)
	for room.behind(known) {
		select {
		case <-news.C:
		case <-deadline.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// joinTries bounds how often a snapshot is taken anew because so much came, or an event, while its answer was made.
const joinTries = 4

// Join makes m a member of the open room. answer makes the answer of a snapshot, which takes its time and holds
// nobody up, and returns what hands it to m, without blocking: the next entry that is delivered to m is the
// snapshot's Cursor + 1. answer is called again when the snapshot is out of date by then. A nil m is handed
// nothing more. CodeUnavailable if access must be asked for again.
func (h *Hub) Join(ctx context.Context, room *Room, m Member, class string, lobbySeq chat.Seq, j Join, answer func(Snapshot) (hand func())) error {
	j.lobby = lobbySeq
	h.CatchUp(ctx, room)
	if j.After != nil && *j.After > room.Head() {
		// The client has seen more than we have: catch up before we judge its cursor.
		if err := h.Fill(ctx, room); err != nil {
			return err
		}
	}
	var older []roomsapi.Entry
	for tries := 0; tries < joinTries; {
		if h.Held() {
			return ErrHeld()
		}
		s, p, met, err := room.admit(m, class, j, older)
		if err == nil && !met {
			older, err = h.readOlder(ctx, room, *j.After, older)
		}
		if err != nil {
			return err
		}
		if !met {
			continue
		}
		if hand := answer(s); m == nil || room.finish(p, hand) {
			h.metrics.resumed(j, s, older)
			return nil
		}
		tries++
	}
	return errAskAgain
}

// readOlder continues older, the entries after a cursor that the tail does not reach back to.
func (h *Hub) readOlder(ctx context.Context, room *Room, after chat.Seq, older []roomsapi.Entry) ([]roomsapi.Entry, error) {
	if len(older) > 0 {
		after = older[len(older)-1].Seq
	}
	page, err := h.replay(ctx, room.ID, after)
	if err != nil {
		return nil, err
	}
	if len(page.Entries) == 0 || page.Log != room.Key.Log || !contiguous(page.Entries, after) {
		return nil, errHole()
	}
	room.raiseFloor(page.Floor)
	return append(older, page.Entries...), nil
}

// replay reads a page after a seq that the tail does not reach back to. Those who ask for the same at the same
// time share one read, and few are under way at once.
func (h *Hub) replay(ctx context.Context, room chat.RoomID, after chat.Seq) (roomsapi.Range, error) {
	reads := h.replays.DoChan(fmt.Sprintf("%d/%d", room, after), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), replayTimeout) // others wait for it too
		defer cancel()
		select {
		case h.replaying <- struct{}{}:
			defer func() { <-h.replaying }()
			return h.log.Entries(ctx, room, after, MaxReplay, maxReplayBytes)
		case <-ctx.Done():
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

// Fill reads what the room's log has beyond what has been delivered, and delivers it.
func (h *Hub) Fill(ctx context.Context, room *Room) (err error) {
	start := time.Now()
	defer func() { h.metrics.filledSince(start, err) }()
	room.fillOnce.Lock()
	defer room.fillOnce.Unlock()
	for {
		if h.Held() {
			return ErrHeld()
		}
		before := room.Head()
		page, err := h.log.Entries(ctx, room.ID, before, MaxTailEntries, MaxTailBytes)
		if err != nil {
			if chat.CodeOf(err) == chat.CodeNotFound {
				return ErrGone
			}
			return err
		}
		if page.Log != room.Key.Log {
			return ErrRenewed
		}
		room.raiseFloor(page.Floor)
		after := room.Deliver(page.Entries)
		h.metrics.filled.Add(float64(after - before))
		if h.Held() { // since the log was asked
			return ErrHeld()
		}
		if after >= page.Head || after == before {
			return nil
		}
	}
}

// ErrRenewed says that the room's log went back in time and has another name now.
var ErrRenewed = errors.New("the room has another log")

// ErrHeld says that delivery is held back: CodeUnavailable.
func ErrHeld() error {
	return &chat.Error{Code: chat.CodeUnavailable, Message: "this part of Parley has lost contact, try again", RetryAfter: time.Second}
}
