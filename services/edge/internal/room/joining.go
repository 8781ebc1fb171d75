package room

import (
	"encoding/json"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// Bounds of a replay, which with the frame around it always fits an outbox.
const (
	MaxReplay      = 1000
	MaxReplayBytes = 256 << 10
)

// Join says how somebody comes in: where After is given, with what came since that cursor.
type Join struct {
	After *chat.Seq
	Log   chat.LogID // of the cursor, "" if the client did not say
	Limit int        // messages, where there is nothing to resume
}

// Joining is a join whose answer is being made, outside of the room's lock since that takes a while. What the
// room hands out meanwhile waits for the answer to go first. Under the room's mu.
type Joining struct {
	member Member
	fresh  bool // it was not a member before
	frames []waiting
	bytes  int
}

type waiting struct {
	frames  []byte
	written time.Time
}

// Admit takes the snapshot of a join. From that instant on nothing is handed to m, until Finish hands over the
// answer and what came after it: the first entry is the snapshot's Cursor + 1. A nil m only looks. Older holds
// events before the tail, from after on. False says that older and tail don't meet.
func (r *Room) Admit(m Member, reader Reader, j Join, older []roomsapi.Entry) (s Snapshot, p *Joining, met bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err = r.refusal(); err != nil {
		return s, nil, false, err
	}
	if !r.grants.holds(reader) {
		return s, nil, false, ErrAskAgain
	}
	if m != nil {
		r.resume(m)
	}
	if s, met = r.snapshot(j, older); !met || m == nil {
		return s, nil, met, nil
	}
	_, was := r.members[m]
	p = &Joining{member: m, fresh: !was}
	delete(r.members, m)
	if r.joining == nil {
		r.joining = map[Member]*Joining{}
	}
	r.joining[m] = p
	return s, p, true, nil
}

// refusal is the error of a join of a room that has ended.
func (r *Room) refusal() error {
	switch {
	case r.gone:
		return ErrGone
	case r.closed:
		return ErrAskAgain
	case r.held.Load():
		return ErrHeld()
	}
	return nil
}

func (r *Room) snapshot(j Join, older []roomsapi.Entry) (s Snapshot, met bool) {
	s = Snapshot{Info: r.infoLocked(), Cursor: r.head}
	for len(older) > 0 && older[len(older)-1].Seq > r.head { // the log is ahead of us: these are yet to be delivered
		older = older[:len(older)-1]
	}
	if r.resumable(j) && bytesOf(older) <= MaxReplayBytes {
		from := *j.After
		if len(older) > 0 {
			from = older[len(older)-1].Seq
		}
		newer, ok := r.tail.since(r.head, from)
		if !ok {
			return s, false
		}
		r.tail.refresh(older)
		s.Recovered = true
		s.Events = make([]json.RawMessage, 0, len(older)+len(newer))
		for i := range older {
			s.Events = append(s.Events, older[i].Event)
		}
		s.Events = append(s.Events, newer...)
		if Bytes(s.Events) > MaxReplayBytes || len(s.Events) > MaxReplay {
			s.Recovered, s.Events = false, nil
		}
	}
	if !s.Recovered {
		s.Messages, s.HasMore = r.newest.page(j.Limit)
	}
	return s, true
}

// resumable says whether the entries after j.After are all still there, and few enough.
func (r *Room) resumable(j Join) bool {
	return j.After != nil && (j.Log == "" || j.Log == r.info.Log) &&
		*j.After >= r.floor-1 && *j.After <= r.head && r.head-*j.After <= MaxReplay
}

func bytesOf(entries []roomsapi.Entry) int {
	total := 0
	for i := range entries {
		total += len(entries[i].Event)
	}
	return total
}

// Bytes is how long events are together.
func Bytes(events []json.RawMessage) int {
	total := 0
	for _, e := range events {
		total += len(e)
	}
	return total
}

// Finish makes p's member a member: hand hands it the answer, and what has waited follows. False says that the
// snapshot is out of date: another one must be taken.
func (r *Room) Finish(p *Joining, hand func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.joining[p.member] != p {
		return false
	}
	if r.held.Load() {
		r.interrupt(p)
		return false
	}
	hand()
	r.enroll(p)
	return true
}

// wait has frames wait for p's answer. When too many do, the snapshot is not worth waiting for.
func (r *Room) wait(p *Joining, frames []byte, written time.Time) {
	p.frames = append(p.frames, waiting{frames, written})
	if p.bytes += len(frames); p.bytes > MaxReplayBytes {
		r.interrupt(p)
	}
}

// interrupt ends a join under way, if p is one: who was a member before still is, and misses nothing.
func (r *Room) interrupt(p *Joining) {
	switch {
	case p == nil:
	case p.fresh:
		delete(r.joining, p.member)
	default:
		r.enroll(p)
	}
}

func (r *Room) interruptAll() {
	for _, p := range r.joining {
		r.interrupt(p)
	}
}

func (r *Room) enroll(p *Joining) {
	delete(r.joining, p.member)
	r.members[p.member] = struct{}{}
	for _, w := range p.frames {
		p.member.Deliver(r, w.frames, w.written)
	}
}
