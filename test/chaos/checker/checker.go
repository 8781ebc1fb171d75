// Package checker has Parley's guarantees as invariants: plain functions on what clients did and saw, and on what the
// server has in the end.
package checker

import (
	"fmt"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/test/chaos/history"
)

// Invariant is a promise that holds whatever happens.
type Invariant struct {
	Name  string
	Check func(*history.History) []history.Violation
}

// Invariants are all there are. The first that is violated is the nearest to the cause.
func Invariants() []Invariant {
	return []Invariant{
		{history.Contiguous, contiguous},
		{history.Once, once},
		{history.AckedKept, acked},
		{history.UnknownOnce, unknownOnce},
		{history.RefusedNot, refused},
		{history.SenderOrder, senders},
		{history.WireOrder, seenLive(history.WireOrder)},
		{history.NothingAfterLeft, seenLive(history.NothingAfterLeft)},
		{history.Recovered, recovered},
		{history.Applied, applied},
		{history.AsLogged, asLogged},
		{history.ReachedEnd, reachedEnd},
		{history.SameAfresh, sameAfresh},
		{history.Answered, seenLive(history.Answered)},
	}
}

func violation(invariant, client string, room chat.Slug, log chat.LogID, seq chat.Seq, text string) history.Violation {
	return history.Violation{Invariant: invariant, Client: client, Room: room, Log: log, Seq: seq, Text: text}
}

// Check tries all invariants in their order.
func Check(e *history.History) (violations []history.Violation) {
	for _, i := range Invariants() {
		violations = append(violations, i.Check(e)...)
	}
	return violations
}

// seenLive are the violations of an invariant that were seen while they happened.
func seenLive(name string) func(*history.History) []history.Violation {
	return func(e *history.History) (violations []history.Violation) {
		for _, v := range e.Problems {
			if v.Invariant == name {
				violations = append(violations, v)
			}
		}
		return violations
	}
}

// contiguous: a log is 1..n.
func contiguous(e *history.History) (violations []history.Violation) {
	for _, log := range e.Logs() {
		for i, r := range log.Rows {
			if want := chat.Seq(i + 1); r.Seq != want {
				violations = append(violations, violation(history.Contiguous, "", log.Room, log.Name, want, fmt.Sprintf("the log has %d where %d is next", r.Seq, want)))
				break
			}
		}
	}
	return violations
}

// once: no two entries of a log share author and nonce.
func once(e *history.History) (violations []history.Violation) {
	type key struct {
		author chat.UserID
		nonce  string
	}
	for _, log := range e.Logs() {
		seen := map[key]chat.Seq{}
		for _, r := range log.Rows {
			k := key{r.Author, r.Nonce}
			if first, doubled := seen[k]; doubled && r.Nonce != "" {
				violations = append(violations, violation(history.Once, "", log.Room, log.Name, r.Seq, fmt.Sprintf("%d and %d are the same message (%s)", first, r.Seq, r.Nonce)))
			}
			seen[k] = r.Seq
		}
	}
	return violations
}

// acked: what was acked is in the log, as the seq that was acked, also after a restore if it was acked
// before the backup.
func acked(e *history.History) (violations []history.Violation) {
	for i := range e.Operations {
		d := &e.Operations[i]
		if d.Acked == 0 {
			continue
		}
		first, last, missing := lost(e, d)
		if !missing {
			continue
		}
		v := violation(history.AckedKept, d.Client, d.Room, "", d.Acked, fmt.Sprintf("the %s of %s was acked as %d", d.Kind, d.Nonce, d.Acked))
		for n := first; n <= last; n++ {
			if log := e.Epochs[n].Logs[d.Room]; log != nil {
				v.Log = log.Name
				v.Text += fmt.Sprintf("; the log %s has it at %v and ends at %d", log.Name, log.Nonce(d.Nonce), log.Head())
			}
		}
		violations = append(violations, v)
	}
	return violations
}

// lost says whether an acked operation is missing, and from which epochs.
func lost(e *history.History, d *history.Operation) (first, last int, lost bool) {
	first, last = e.EpochsOf(d)
	n := first
	for n <= last && !e.Epochs[n].Logs[d.Room].At(d.Acked).Did(d) {
		n++
	}
	if n > last {
		return first, last, true
	}
	for n++; n < len(e.Epochs) && d.Answered.Before(e.Epochs[n].BackupBegan); n++ {
		if !e.Epochs[n].Logs[d.Room].At(d.Acked).Did(d) {
			return n, n, true
		}
	}
	return 0, 0, false
}

// sendKey is what makes messages the same.
type sendKey struct {
	client string
	room   chat.Slug
	nonce  string
}

// unknownOnce: however often a message is sent, it is answered with one id and is one entry at most.
func unknownOnce(e *history.History) (violations []history.Violation) {
	before := map[sendKey]*history.Operation{}
	for i := range e.Operations {
		d := &e.Operations[i]
		if d.Kind != roomsapi.KindSend {
			continue
		}
		for _, epoch := range e.Epochs {
			if log := epoch.Logs[d.Room]; log != nil && d.Resent && len(log.Nonce(d.Nonce)) > 1 {
				violations = append(violations, violation(history.UnknownOnce, d.Client, d.Room, log.Name, log.Nonce(d.Nonce)[1], fmt.Sprintf("%s, sent again, is there at %v", d.Nonce, log.Nonce(d.Nonce))))
			}
		}
		k := sendKey{d.Client, d.Room, d.Nonce}
		if first := before[k]; first != nil && first.Acked != 0 && d.Acked != 0 && first.Acked != d.Acked {
			from, _ := e.EpochsOf(first)
			if _, to := e.EpochsOf(d); from == to {
				violations = append(violations, violation(history.UnknownOnce, d.Client, d.Room, "", d.Acked, fmt.Sprintf("%s was acked as %d and, sent again, as %d", d.Nonce, first.Acked, d.Acked)))
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
func refused(e *history.History) (violations []history.Violation) {
	for i := range e.Operations {
		d := &e.Operations[i]
		if d.Refused == nil {
			continue
		}
		first, last := e.EpochsOf(d)
		mine := true
		for n := first; n <= last; n++ {
			log := e.Epochs[n].Logs[d.Room]
			if d.Kind == roomsapi.KindSend {
				if log != nil && !d.Resent && len(log.Nonce(d.Nonce)) > 0 {
					violations = append(violations, violation(history.RefusedNot, d.Client, d.Room, log.Name, log.Nonce(d.Nonce)[0], fmt.Sprintf("%s was refused (%v) and is in the log", d.Nonce, d.Refused)))
				}
				continue
			}
			r := log.At(d.Message)
			mine = mine && r != nil && r.Nonce == d.Nonce
		}
		code := chat.CodeOf(d.Refused)
		if d.Kind != roomsapi.KindSend && mine && code != chat.CodeRateLimited && code != chat.CodeUnauthenticated {
			violations = append(violations, violation(history.RefusedNot, d.Client, d.Room, "", d.Message, fmt.Sprintf("the %s of its own message %d was refused: %v", d.Kind, d.Message, d.Refused)))
		}
	}
	return violations
}

// senders: what one sender sent to a room stands in the log in the order of its sending. What a restore
// took back and was sent again counts as what it is, sent later.
func senders(e *history.History) (violations []history.Violation) {
	type lane struct {
		client string
		log    *history.Log
	}
	last := map[lane]chat.Seq{}
	for i := range e.Operations {
		d := &e.Operations[i]
		if d.Kind != roomsapi.KindSend || d.Resent {
			continue
		}
		from, to := e.EpochsOf(d)
		for n := from; n <= to; n++ {
			log := e.Epochs[n].Logs[d.Room]
			seq := stored(log, d)
			if seq == 0 {
				continue
			}
			l := lane{d.Client, log}
			if seq < last[l] {
				violations = append(violations, violation(history.SenderOrder, d.Client, d.Room, log.Name, seq, fmt.Sprintf("%s is %d and was sent after %d", d.Nonce, seq, last[l])))
			}
			last[l] = max(last[l], seq)
		}
	}
	return violations
}

// stored is where a log has what was sent, 0 if it does not.
func stored(log *history.Log, d *history.Operation) chat.Seq {
	switch {
	case log == nil:
		return 0
	case d.Acked != 0 && log.At(d.Acked).Did(d):
		return d.Acked
	case d.Acked == 0 && len(log.Nonce(d.Nonce)) > 0:
		return log.Nonce(d.Nonce)[0]
	}
	return 0
}
