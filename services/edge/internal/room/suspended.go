package room

import "time"

// suspension is what waits for a member while the rooms service is asked whether it may still read the room. It is
// held back instead of being taken out at once: a member that may stay, as most do, gets every entry in its order, and
// its client sees nothing of it; one that may not has been handed nothing since the event.
type suspension struct {
	frames []waiting
	bytes  int
	more   bool // than is kept
}

func (s *suspension) add(frames []byte, written time.Time) {
	if s.bytes += len(frames); s.more || s.bytes > MaxReplayBytes {
		s.frames, s.more = nil, true
		return
	}
	s.frames = append(s.frames, waiting{frames, written})
}

// suspend holds back what is delivered to a member. It is false if that is so already: somebody is asking.
func (r *Room) suspend(m Member) bool {
	if r.suspended[m] != nil {
		return false
	}
	delete(r.members, m)
	if r.suspended == nil {
		r.suspended = map[Member]*suspension{}
	}
	r.suspended[m] = &suspension{}
	return true
}

// resume hands a member what was held back. If that is more than is kept, its client resumes by its cursor.
func (r *Room) resume(m Member) {
	s := r.suspended[m]
	if s == nil {
		return
	}
	delete(r.suspended, m)
	r.members[m] = struct{}{}
	for _, w := range s.frames {
		m.Deliver(r, w.frames, w.written)
	}
	if s.more {
		m.Reconnect()
	}
}

// Has says whether m is a member.
func (r *Room) Has(m Member) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, is := r.members[m]
	return is
}

// Suspended says whether a member is.
func (r *Room) Suspended(m Member) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.suspended[m] != nil
}

// Resume ends the suspension of a member that a grant holds. It is false if none does any more: ask again.
func (r *Room) Resume(m Member) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.grants.holds(m.Reader()) {
		return false
	}
	r.resume(m)
	return true
}

// Refuse takes a suspended member out: it is handed last.
func (r *Room) Refuse(m Member, last []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.suspended[m] != nil {
		r.takeOut(m, last)
	}
}
