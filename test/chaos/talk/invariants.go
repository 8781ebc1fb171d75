package talk

import (
	"fmt"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// The names of the invariants.
const (
	Contiguous       = "seqs-are-1-to-n"
	Once             = "a-nonce-is-one-entry"
	AckedKept        = "acked-is-in-history"
	UnknownOnce      = "sent-again-is-one-message"
	RefusedNot       = "refused-is-not-stored"
	SenderOrder      = "a-senders-order-holds"
	WireOrder        = "the-wire-is-in-order-without-holes"
	NothingAfterLeft = "nothing-after-left"
	Recovered        = "a-cursor-resumes"
	Applied          = "applied-is-a-slice-in-order-once"
	AsLogged         = "seen-is-what-the-log-has"
	ReachedEnd       = "everyone-reaches-the-end"
	SameAfresh       = "applied-events-give-the-room-as-it-loads"
	Answered         = "every-command-is-answered"
)

// Invariant is a promise that holds whatever happens.
type Invariant struct {
	Name  string
	Check func(*Evidence) []Violation
}

// Invariants are all there are. The first that is violated is the nearest to the cause.
func Invariants() []Invariant {
	return []Invariant{
		{Contiguous, contiguous},
		{Once, once},
		{AckedKept, acked},
		{UnknownOnce, unknownOnce},
		{RefusedNot, refused},
		{SenderOrder, senders},
		{WireOrder, noted(WireOrder)},
		{NothingAfterLeft, noted(NothingAfterLeft)},
		{Recovered, recovered},
		{Applied, applied},
		{AsLogged, asLogged},
		{ReachedEnd, reachedEnd},
		{SameAfresh, sameAfresh},
		{Answered, noted(Answered)},
	}
}

// Check tries all invariants in their order.
func (e *Evidence) Check() (violations []Violation) {
	for _, i := range Invariants() {
		violations = append(violations, i.Check(e)...)
	}
	return violations
}

// noted are the violations of an invariant that were seen while they happened.
func noted(name string) func(*Evidence) []Violation {
	return func(e *Evidence) (violations []Violation) {
		for _, v := range e.Problems {
			if v.Invariant == name {
				violations = append(violations, v)
			}
		}
		return violations
	}
}

// contiguous: a log is 1..n.
func contiguous(e *Evidence) (violations []Violation) {
	for _, log := range e.logs() {
		for i, r := range log.Rows {
			if want := chat.Seq(i + 1); r.Seq != want {
				violations = append(violations, Violation{Contiguous, "", log.Room, log.Name, want, fmt.Sprintf("the log has %d where %d is next", r.Seq, want)})
				break
			}
		}
	}
	return violations
}

// once: no two entries of a log share author and nonce.
func once(e *Evidence) (violations []Violation) {
	type key struct {
		author chat.UserID
		nonce  string
	}
	for _, log := range e.logs() {
		seen := map[key]chat.Seq{}
		for _, r := range log.Rows {
			k := key{r.Author, r.Nonce}
			if first, doubled := seen[k]; doubled && r.Nonce != "" {
				violations = append(violations, Violation{Once, "", log.Room, log.Name, r.Seq, fmt.Sprintf("%d and %d are the same message (%s)", first, r.Seq, r.Nonce)})
			}
			seen[k] = r.Seq
		}
	}
	return violations
}

// acked: what was acked is in the log, as the seq that was acked, also after a restore if it was acked
// before the backup.
func acked(e *Evidence) (violations []Violation) {
	for i := range e.Deeds {
		d := &e.Deeds[i]
		if d.Acked == 0 {
			continue
		}
		first, last, lost := e.lost(d)
		if !lost {
			continue
		}
		v := Violation{AckedKept, d.Who, d.Room, "", d.Acked, fmt.Sprintf("the %s of %s was acked as %d", d.Kind, d.Nonce, d.Acked)}
		for n := first; n <= last; n++ {
			if log := e.Epochs[n].Logs[d.Room]; log != nil {
				v.Log = log.Name
				v.Text += fmt.Sprintf("; the log %s has it at %v and ends at %d", log.Name, log.indexed().nonces[d.Nonce], log.Head())
			}
		}
		violations = append(violations, v)
	}
	return violations
}

// lost says whether an acked deed is missing, and from which epochs.
func (e *Evidence) lost(d *Deed) (first, last int, lost bool) {
	first, last = e.span(d)
	n := first
	for n <= last && !fits(e.Epochs[n].Logs[d.Room].At(d.Acked), d) {
		n++
	}
	if n > last {
		return first, last, true
	}
	for n++; n < len(e.Epochs) && d.Answered.Before(e.Epochs[n].Kept); n++ {
		if !fits(e.Epochs[n].Logs[d.Room].At(d.Acked), d) {
			return n, n, true
		}
	}
	return 0, 0, false
}

// sendKey is what makes messages the same.
type sendKey struct {
	who   string
	room  chat.Slug
	nonce string
}

// unknownOnce: however often a message is sent, it is answered with one id and is one entry at most.
func unknownOnce(e *Evidence) (violations []Violation) {
	before := map[sendKey]*Deed{}
	for i := range e.Deeds {
		d := &e.Deeds[i]
		if d.Kind != roomsapi.KindSend {
			continue
		}
		for _, epoch := range e.Epochs {
			if log := epoch.Logs[d.Room]; log != nil && d.Again && len(log.indexed().nonces[d.Nonce]) > 1 {
				violations = append(violations, Violation{UnknownOnce, d.Who, d.Room, log.Name, log.indexed().nonces[d.Nonce][1], fmt.Sprintf("%s, sent again, is there at %v", d.Nonce, log.indexed().nonces[d.Nonce])})
			}
		}
		k := sendKey{d.Who, d.Room, d.Nonce}
		if first := before[k]; first != nil && first.Acked != 0 && d.Acked != 0 && first.Acked != d.Acked {
			from, _ := e.span(first)
			if _, to := e.span(d); from == to {
				violations = append(violations, Violation{UnknownOnce, d.Who, d.Room, "", d.Acked, fmt.Sprintf("%s was acked as %d and, sent again, as %d", d.Nonce, first.Acked, d.Acked)})
			}
		}
		if d.Acked != 0 || before[k] == nil {
			before[k] = d
		}
	}
	return violations
}

// refused: every error but an unknown outcome means that nothing was stored; and nobody is refused
// to change a message of its own, unless a restore has taken it away, or its token has just ended.
func refused(e *Evidence) (violations []Violation) {
	for i := range e.Deeds {
		d := &e.Deeds[i]
		if d.Refused == nil {
			continue
		}
		first, last := e.span(d)
		mine := true
		for n := first; n <= last; n++ {
			log := e.Epochs[n].Logs[d.Room]
			if d.Kind == roomsapi.KindSend {
				if log != nil && !d.Again && len(log.indexed().nonces[d.Nonce]) > 0 {
					violations = append(violations, Violation{RefusedNot, d.Who, d.Room, log.Name, log.indexed().nonces[d.Nonce][0], fmt.Sprintf("%s was refused (%v) and is in the log", d.Nonce, d.Refused)})
				}
				continue
			}
			r := log.At(d.Message)
			mine = mine && r != nil && r.Nonce == d.Nonce
		}
		code := chat.CodeOf(d.Refused)
		if d.Kind != roomsapi.KindSend && mine && code != chat.CodeRateLimited && code != chat.CodeUnauthenticated {
			violations = append(violations, Violation{RefusedNot, d.Who, d.Room, "", d.Message, fmt.Sprintf("the %s of its own message %d was refused: %v", d.Kind, d.Message, d.Refused)})
		}
	}
	return violations
}

// senders: what one sender sent to a room stands in the log in the order of its sending. What a restore
// took back and was sent again counts as what it is, sent later.
func senders(e *Evidence) (violations []Violation) {
	type lane struct {
		who string
		log *Log
	}
	last := map[lane]chat.Seq{}
	for i := range e.Deeds {
		d := &e.Deeds[i]
		if d.Kind != roomsapi.KindSend || d.Again {
			continue
		}
		from, to := e.span(d)
		for n := from; n <= to; n++ {
			log := e.Epochs[n].Logs[d.Room]
			seq := stored(log, d)
			if seq == 0 {
				continue
			}
			l := lane{d.Who, log}
			if seq < last[l] {
				violations = append(violations, Violation{SenderOrder, d.Who, d.Room, log.Name, seq, fmt.Sprintf("%s is %d and was sent after %d", d.Nonce, seq, last[l])})
			}
			last[l] = max(last[l], seq)
		}
	}
	return violations
}

// stored is where a log has what was sent, 0 if it does not.
func stored(log *Log, d *Deed) chat.Seq {
	switch {
	case log == nil:
		return 0
	case d.Acked != 0 && fits(log.At(d.Acked), d):
		return d.Acked
	case d.Acked == 0 && len(log.indexed().nonces[d.Nonce]) > 0:
		return log.indexed().nonces[d.Nonce][0]
	}
	return 0
}
