package hub

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/wire"
)

// Member is a socket in a room.
type Member interface {
	// Deliver hands over whole frames of the room, made once for all members and not to be changed.
	// It never blocks: a member that can't take them ends by itself. written is the time from which
	// the frames' way is measured.
	Deliver(room *Room, frames []byte, written time.Time)
	// TakenOut tells the member that it is not in the room any more: it drops the room's frames that
	// have not gone out yet. It is handed last ones.
	TakenOut(room *Room, frame []byte)
	User() chat.User
}

// Room is a room that somebody on this edge follows. Lock order: a Room's mu before its members'
// own locks; never two Rooms'.
type Room struct {
	ID     chat.RoomID
	Tenant chat.TenantID
	Slug   chat.Slug
	Key    stream.Room

	opened   chan struct{} // closed when opening has ended
	openErr  error         // of opening; read after opened
	fillOnce sync.Mutex    // held by whoever fills

	bellMu  sync.Mutex // before mu
	hearing bool       // the bell is subscribed
	hushed  bool       // for good

	mu       sync.Mutex
	ready    bool // its tail is loaded: entries can be taken in
	info     chat.Room
	infoAt   chat.Seq // the seq of rooms' lobby as of which info is known
	tail     tail
	newest   newest
	head     chat.Seq
	floor    chat.Seq
	rung     chat.Seq // the highest seq that a bell or a head has told of
	acked    chat.Seq // the highest seq that this edge has acked: its bell may be yet to come
	members  map[Member]struct{}
	joining  map[Member]*pending // their answer is being made; not among the members meanwhile
	watchers map[*Watcher]struct{}
	access   map[string]bool // classes of users that may read, decided after every handled lobby event
	event    chat.Seq        // the last event of rooms' lobby on this room
	gone     bool            // deleted: nobody is admitted any more
	closed   bool            // of no use any more: whoever comes opens another one
	idle     time.Time       // since when nobody follows

	held  *atomic.Bool // the hub holds delivery back
	using int          // joins under way, which keep the room open; under the hub's mu
}

// Snapshot is what a join gets: either Events (Recovered) or Messages, ending at Cursor.
type Snapshot struct {
	Info      chat.Room
	Cursor    chat.Seq
	Events    []json.RawMessage
	Messages  []json.RawMessage
	HasMore   bool
	Recovered bool
}

// Info is the room as it is now.
func (r *Room) Info() chat.Room {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.infoLocked()
}

func (r *Room) infoLocked() chat.Room {
	info := r.info
	info.Head, info.Floor = r.head, r.floor
	return info
}

// Head is how far the room's entries have been delivered on this edge.
func (r *Room) Head() chat.Seq {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head
}

// hearBell subscribes the room's bell, unless the room is closed already.
func (r *Room) hearBell(ctx context.Context, bell Bell) error {
	r.bellMu.Lock()
	defer r.bellMu.Unlock()
	if r.hushed {
		return ErrGone
	}
	r.hearing = true
	return bell.Subscribe(ctx, r.Key)
}

// hushBell takes the subscription back, once, whoever closes the room and however often. Another Room
// of the same log may be open by then, with a subscription of its own.
func (r *Room) hushBell(ctx context.Context, bell Bell) {
	r.bellMu.Lock()
	defer r.bellMu.Unlock()
	if r.hearing {
		bell.Unsubscribe(ctx, r.Key)
	}
	r.hearing, r.hushed = false, true
}

// raiseFloor takes in the floor that the log told of.
func (r *Room) raiseFloor(floor chat.Seq) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.floor = max(r.floor, floor)
}

// Ring notes that the log reaches seq, and says how far it is known to reach, and whether the room is
// open yet: before, nothing can be delivered, and the hub has the room looked at when it is.
func (r *Room) Ring(seq chat.Seq) (head, rung chat.Seq, open bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rung = max(r.rung, seq)
	return r.head, r.rung, r.ready
}

// Acked notes that an entry was acked here: whoever joins from then on is answered with it.
func (r *Room) Acked(seq chat.Seq) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked = max(r.acked, seq)
}

// behind says whether the log is known to reach further than what has been delivered, and may still be delivered.
func (r *Room) behind(seq chat.Seq) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head < seq && r.refusal() == nil
}

// known is how far the log is known to reach.
func (r *Room) known() chat.Seq {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.rung, r.acked)
}

// Deliver takes entries in, in the order of their seqs: those known already are passed over, those
// after a hole are left. Whoever follows gets the new ones, as frames in one buffer made once.
// It returns how far the room reaches afterwards.
func (r *Room) Deliver(entries []roomsapi.Entry) chat.Seq {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ready || r.held.Load() {
		return r.head
	}
	first := 0
	for first < len(entries) && entries[first].Seq <= r.head {
		first++
	}
	last, total := first, 0
	for last < len(entries) && entries[last].Seq == r.head+1+chat.Seq(last-first) {
		total += len(entries[last].Event) + 10
		last++
	}
	if first == last {
		return r.head
	}
	frames := make([]byte, 0, total)
	for i := first; i < last; i++ {
		frames = wire.AppendText(frames, entries[i].Event)
		r.take(entries[i])
	}
	r.head = entries[last-1].Seq
	var written time.Time
	if at := entries[first].AtMS; at != 0 {
		written = time.UnixMilli(at)
	}
	r.fanOut(frames, written, "")
	r.stirWatchers()
	return r.head
}

// fanOut hands frames to every member but those of the user except. Who is just joining gets them after the
// answer.
func (r *Room) fanOut(frames []byte, written time.Time, except chat.UserID) {
	for member := range r.members {
		if except == "" || member.User().ID != except {
			member.Deliver(r, frames, written)
		}
	}
	for member, p := range r.joining {
		if except == "" || member.User().ID != except {
			r.wait(p, frames, written)
		}
	}
}

// take takes in the entry that is next.
func (r *Room) take(e roomsapi.Entry) {
	r.tail.add(r.Slug, e)
	switch {
	case len(e.State) > 0:
		r.newest.fold(e.Message, e.State)
	case e.Kind == "message":
		r.newest.add(e.Message, e.Event)
	}
}

// Broadcast hands a frame that is not of the log to every member but those of the user except.
func (r *Room) Broadcast(frame []byte, except chat.UserID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fanOut(frame, time.Time{}, except)
}

// Admits says whether everybody of the class is known to have access, by a decision no later event
// has put in doubt.
func (r *Room) Admits(class string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.access[class] && !r.gone && !r.closed
}

// Grant remembers a decision for all of a class, taken at that seq of the lobby. It returns false if
// a later event on the room has been handled: the decision must be asked for again.
func (r *Room) Grant(class string, forAll bool, lobby chat.Seq) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if lobby < r.event {
		return false
	}
	if forAll {
		r.access[class] = true
	}
	return true
}

// errAskAgain says that access must be asked for again: an event on the room came in between.
var errAskAgain = chat.Errorf(chat.CodeUnavailable, "the room's access is changing, try again")

// ErrGone says that there is no such room, or none any more, or none that one may know of.
var ErrGone = chat.Errorf(chat.CodeNotFound, "there is no such room")

// Remove takes m out and says whether it was in: nothing of the room is handed to it afterwards.
func (r *Room) Remove(m Member) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.interrupt(r.joining[m])
	_, was := r.members[m]
	delete(r.members, m)
	r.idle = time.Now()
	return was
}

// update takes in what an event of the lobby says of the room, and takes out whom refused names.
// Nobody who is admitted afterwards is admitted by a decision of before.
func (r *Room) update(event chat.Seq, info *chat.Room, gone bool, refused func(Member) []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.event = max(r.event, event)
	r.gone = r.gone || gone
	clear(r.access)
	r.learn(event, info)
	r.interruptAll()
	for member := range r.members {
		if frame := refused(member); frame != nil {
			delete(r.members, member)
			member.TakenOut(r, frame)
			r.idle = time.Now()
		}
	}
	r.stirWatchers()
}

// learn takes in how the room is as of that seq of the lobby, unless something later is known. A room of another
// log is another one to whoever holds a cursor: this one is about to be closed.
func (r *Room) learn(at chat.Seq, info *chat.Room) {
	if info == nil || at <= r.infoAt || info.Log != "" && info.Log != r.Key.Log {
		return
	}
	r.info, r.infoAt = *info, at
}
