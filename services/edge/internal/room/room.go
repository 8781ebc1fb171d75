// Package room is the state of the rooms that somebody on this edge follows: who is in them, the newest part of their
// logs, and the fan-out. It reads nothing and writes nothing: package feed brings it the entries.
package room

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
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
	// Reconnect ends the member, which comes back and resumes from its cursor.
	Reconnect()
	User() chat.User
	// Reader is whom the grants of the member are for.
	Reader() Reader
}

// Room is a room that somebody on this edge follows. Lock order: a Room's mu before its members'
// own locks; never two Rooms'.
type Room struct {
	ID     chat.RoomID
	Tenant chat.TenantID
	Slug   chat.Slug
	Key    stream.Room
	Source any // where its entries come from; the feed's

	mu       sync.Mutex
	loaded   bool // its tail is: entries can be taken in
	info     chat.Room
	infoAt   chat.Seq // the seq of rooms' lobby as of which info is known
	tail     tail
	newest   Newest
	head     chat.Seq
	floor    chat.Seq
	notified chat.Seq // the highest seq that a notification or a head has told of
	acked    chat.Seq // the highest seq that this edge has acked: its notification may be yet to come
	members  map[Member]struct{}
	joining  map[Member]*Joining // their answer is being made; not among the members meanwhile
	watchers map[*Watcher]struct{}

	suspended map[Member]*suspension // members of whom it is being asked whether they may still read
	grants    grants
	gone      bool      // deleted: nobody is admitted any more
	closed    bool      // of no use any more: whoever comes opens another one
	idle      time.Time // since when nobody follows

	held  *atomic.Bool // delivery is held back
	using int          // joins under way, which keep the room open; under the mu of Rooms
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

// RaiseFloor takes in the floor that the log told of.
func (r *Room) RaiseFloor(floor chat.Seq) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.floor = max(r.floor, floor)
}

// Notify notes that the log reaches seq, and says how far it is known to reach, and whether the room is
// loaded yet: before, nothing can be delivered, and the feed reads the room's stream when it is.
func (r *Room) Notify(seq chat.Seq) (head, notified chat.Seq, loaded bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notified = max(r.notified, seq)
	return r.head, r.notified, r.loaded
}

// Load takes in the tail of the log and the newest messages as of its head.
func (r *Room) Load(tail roomsapi.Range, latest Newest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range tail.Entries {
		r.tail.add(e)
	}
	r.newest = latest
	r.head, r.floor, r.loaded = tail.Head, tail.Floor, true
}

// Acked notes that an entry was acked here: whoever joins from then on is answered with it.
func (r *Room) Acked(seq chat.Seq) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked = max(r.acked, seq)
}

// Behind says whether the log is known to reach further than what has been delivered, and may still be delivered.
func (r *Room) Behind(seq chat.Seq) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head < seq && r.refusal() == nil
}

// Known is how far the log is known to reach.
func (r *Room) Known() chat.Seq {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.notified, r.acked)
}

// Deliver takes entries in, in the order of their seqs: those known already are passed over, those
// after a hole are left. Whoever follows gets the new ones, as frames in one buffer made once.
// It returns how far the room reaches afterwards.
func (r *Room) Deliver(entries []roomsapi.Entry) chat.Seq {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.loaded || r.held.Load() {
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
	r.notifyWatchers()
	return r.head
}

// fanOut hands frames to every member but those of the user except. A member that is just joining gets them after
// the answer.
func (r *Room) fanOut(frames []byte, written time.Time, except chat.UserID) {
	for member := range r.members {
		if except == "" || member.User().ID != except {
			member.Deliver(r, frames, written)
		}
	}
	for member, s := range r.suspended {
		if except == "" || member.User().ID != except {
			s.add(frames, written)
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
	r.tail.add(e)
	switch {
	case len(e.State) > 0:
		r.newest.fold(e.Message, e.State)
	case e.Kind == "message":
		r.newest.Add(e.Message, e.Event)
	}
}

// Broadcast hands a frame that is not of the log to every member but those of the user except.
func (r *Room) Broadcast(frame []byte, except chat.UserID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fanOut(frame, time.Time{}, except)
}

// ErrAskAgain says that access must be asked for again: an event on the room came in between.
var ErrAskAgain = chat.Errorf(chat.CodeUnavailable, "the room's access is changing, try again")

// ErrGone says that there is no such room, or none any more, or none that one may know of.
var ErrGone = chat.Errorf(chat.CodeNotFound, "there is no such room")

// ErrHeld says that delivery is held back: CodeUnavailable.
func ErrHeld() error {
	return &chat.Error{Code: chat.CodeUnavailable, Message: "this part of Parley has lost contact, try again", RetryAfter: time.Second}
}

// Remove takes m out and says whether it was in: nothing of the room is handed to it afterwards.
func (r *Room) Remove(m Member) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.interrupt(r.joining[m])
	_, was := r.members[m]
	_, suspended := r.suspended[m]
	delete(r.members, m)
	delete(r.suspended, m)
	r.idle = time.Now()
	return was || suspended
}

// Verdict says what becomes of a member at an event.
type Verdict int

// The verdicts.
const (
	Stays    Verdict = iota
	TakenOut         // it may not read the room any more
	Unsure           // only the rooms service can tell
)

// Judge says what becomes of a member, and what it is told as it is taken out.
type Judge func(Member) (v Verdict, last []byte)

// update takes in what an event of the lobby says of the room, and returns the members of whom judge was unsure, and
// whom no grant holds: they are suspended. Nobody who is admitted afterwards is admitted by a decision of before.
func (r *Room) update(event lobby.Event, judge Judge) (unsure []Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = r.gone || event.Kind == lobby.RoomDeleted
	r.grants.add(event)
	r.learn(event.Seq, event.Room)
	r.interruptAll()
	for _, m := range r.all() {
		verdict, last := judge(m)
		switch {
		case verdict == TakenOut:
			r.takeOut(m, last)
		case verdict == Stays || r.grants.holds(m.Reader()):
			r.resume(m)
		case r.suspend(m):
			unsure = append(unsure, m)
		}
	}
	r.notifyWatchers()
	return unsure
}

func (r *Room) takeOut(m Member, last []byte) {
	delete(r.members, m)
	delete(r.suspended, m)
	r.idle = time.Now()
	m.TakenOut(r, last)
}

// all are the members, suspended ones too.
func (r *Room) all() []Member {
	members := make([]Member, 0, len(r.members)+len(r.suspended))
	for m := range r.members {
		members = append(members, m)
	}
	for m := range r.suspended {
		members = append(members, m)
	}
	return members
}

// learn takes in how the room is as of that seq of the lobby, unless something later is known. A room of another
// log is another one to whoever holds a cursor: this one is about to be closed.
func (r *Room) learn(at chat.Seq, info *chat.Room) {
	if info == nil || at <= r.infoAt || info.Log != "" && info.Log != r.Key.Log {
		return
	}
	r.info, r.infoAt = *info, at
}
