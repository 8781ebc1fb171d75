package message

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/services/rooms/internal/access"
)

// Append is what somebody, whose token was verified, asks to append.
type Append struct {
	operation.Request

	Tenant chat.TenantID
	Author chat.User
	Room   chat.RoomID
	Kind   operation.Name
	From   access.Origin
	Trace  string // the span that it is a part of, "" for none
}

// Outcome answers one Append. Seq is that of the entry, which is the id of a message that was sent. An Err of
// chat.CodeUnavailable or chat.CodeInternal means unknown, any other means not stored.
type Outcome struct {
	Seq chat.Seq
	Err error
}

// Check refuses what is wrong whatever the room: it says nothing about it.
func (a Append) Check() error {
	o := operation.Find(a.Kind)
	if o == nil {
		return operation.Unknown(a.Kind)
	}
	return o.Check(a.Request)
}

func (a Append) subject() access.Subject {
	return access.Subject{Tenant: a.Tenant, User: &a.Author, From: a.From}
}

// nonceKey is where the nonce is unique.
func (a Append) nonceKey() NonceKey {
	return NonceKey{Room: a.Room, Author: a.Author.ID, Nonce: hash([]byte(a.Nonce))}
}

// fingerprint tells contents apart that come with the same nonce.
func (a Append) fingerprint() Hash {
	b := append([]byte(a.Kind), 0)
	b = binary.BigEndian.AppendUint64(b, uint64(a.ReplyTo)) //nolint:gosec // Check has seen that it is not negative
	b = binary.BigEndian.AppendUint64(b, uint64(a.Message)) //nolint:gosec // the same
	b = append(b, a.Body...)
	b = append(b, a.Arguments...) // of operations that have no body
	return hash(b)
}

func hash(b []byte) (h Hash) {
	sum := sha256.Sum256(b)
	copy(h[:], sum[:])
	return h
}

// maxDecisions bounds how often an append is decided on while others change who may do what in its room.
const maxDecisions = 5

var errContended = chat.Errorf(chat.CodeUnavailable, "who may do what in this room is changing: send the same nonce again")

// Append appends a batch over any rooms, in order, and answers each entry for itself.
//
// Who may do what is decided before the rooms are locked, since that may take its time, by what this pod last saw of
// a room. Under the lock only that is compared with the room as it is. Where it is another, all of the room's
// appends wait, and are decided on again.
func (l *Log) Append(ctx context.Context, appends []Append) []Outcome {
	started := l.now()
	ctx, traced := l.trace(ctx, appends)
	outcomes := make([]Outcome, len(appends))
	open := make([]int, 0, len(appends)) // the places of those that have no outcome yet
	for i := range appends {
		if outcomes[i].Err = appends[i].Check(); outcomes[i].Err == nil {
			open = append(open, i)
		}
	}
	for decisions := 0; len(open) > 0; decisions++ {
		if decisions == maxDecisions {
			fail(outcomes, open, errContended)
			break
		}
		decided, err := l.decide(ctx, appends, open)
		if err != nil {
			fail(outcomes, open, err)
			break
		}
		open = l.commit(ctx, appends, open, decided, outcomes)
	}
	l.metrics.batch(appends, outcomes, l.now().Sub(started), traced.batch.TraceID())
	traced.end(outcomes)
	return outcomes
}

func fail(outcomes []Outcome, chosen []int, err error) {
	for _, i := range chosen {
		outcomes[i] = Outcome{Err: err}
	}
}

// commit appends the chosen entries in one transaction, and returns those that must be decided on again. Where the
// database refuses their data, each is tried for itself, so that a poisoned one takes none with it.
func (l *Log) commit(ctx context.Context, appends []Append, chosen []int, decided decided, outcomes []Outcome) (again []int) {
	err := l.Transact(ctx, needOf(appends, chosen), func(tx *Transaction) error {
		again = again[:0]
		for _, i := range chosen {
			seq, err := l.append(tx, &appends[i], decided, i)
			if errors.Is(err, errOtherRoom) {
				again = append(again, i)
				continue
			}
			outcomes[i] = Outcome{seq, err}
		}
		return nil
	})
	switch {
	case err == nil:
		return again
	case errors.Is(err, ErrRefused) && len(chosen) > 1:
		again = nil
		for n := range chosen {
			again = append(again, l.commit(ctx, appends, chosen[n:n+1], decided, outcomes)...)
		}
		return again
	default: // also for what was refused before: it may have been for an entry that is not stored now
		fail(outcomes, chosen, err)
		return nil
	}
}

// needOf collects what the chosen entries are decided on.
func needOf(appends []Append, chosen []int) Need {
	var need Need
	rooms, messages := make(map[chat.RoomID]bool), make(map[Key]bool)
	for _, i := range chosen {
		a := &appends[i]
		rooms[a.Room] = true
		if a.Nonce != "" {
			need.Nonces = append(need.Nonces, a.nonceKey())
		}
		if about := max(a.ReplyTo, a.Message); about != 0 {
			messages[Key{a.Room, about}] = true
		}
	}
	need.Rooms = slices.Sorted(maps.Keys(rooms))
	need.Messages = slices.Collect(maps.Keys(messages))
	return need
}

// append works one entry into the transaction. An entry whose nonce was used gets the answer of the first time even
// if its author has lost access since: "not stored" would be a lie.
func (l *Log) append(tx *Transaction, a *Append, decided decided, place int) (chat.Seq, error) {
	room, ok := tx.Room(a.Room)
	if !ok || room.Tenant != a.Tenant {
		return 0, access.NoRoom()
	}
	if a.Nonce != "" {
		if used, ok := tx.usedNonce(a.nonceKey()); ok {
			if used.Fingerprint != a.fingerprint() {
				return 0, chat.Errorf(chat.CodeConflict, "this nonce was used for something else")
			}
			l.metrics.duplicates.Inc()
			return used.Seq, nil
		}
	}
	if decided.rooms[a.Room] != room.Access() {
		return 0, errOtherRoom
	}
	decision := decided.by[place]
	if decision.Err != nil {
		return 0, decision.Err
	}
	effect := effects[a.Kind]
	seq, err := effect.apply(change{tx, room, a, effect.action, decision})
	if err == nil && a.Nonce != "" {
		tx.changes.Nonces[a.nonceKey()] = UsedNonce{Tenant: a.Tenant, Seq: seq, Fingerprint: a.fingerprint()}
	}
	return seq, err
}
