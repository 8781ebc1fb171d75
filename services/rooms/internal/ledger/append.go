package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/services/rooms/internal/policy"
)

// Entry is what somebody, whose token was verified, asks to append.
type Entry struct {
	operation.Request

	Tenant chat.TenantID
	Author chat.User
	Room   chat.RoomID
	Kind   operation.Name
	Trace  string // the span that it is a part of, "" for none
}

// Outcome answers one Entry. Seq is that of the entry, which is the id of a message that was sent. An Err of
// chat.CodeUnavailable or chat.CodeInternal means unknown, any other means not stored.
type Outcome struct {
	Seq chat.Seq
	Err error
}

// Check refuses what is wrong whatever the room: it says nothing about it.
func (e Entry) Check() error {
	o := operation.Find(e.Kind)
	if o == nil {
		return operation.Unknown(e.Kind)
	}
	return o.Check(e.Request)
}

// nonceKey is where the entry's nonce is unique.
func (e Entry) nonceKey() NonceKey {
	return NonceKey{Room: e.Room, Author: e.Author.ID, Nonce: half(sha256.Sum256([]byte(e.Nonce)))}
}

// fingerprint tells contents apart that come with the same nonce.
func (e Entry) fingerprint() Hash {
	b := append([]byte(e.Kind), 0)
	b = binary.BigEndian.AppendUint64(b, uint64(e.ReplyTo)) //nolint:gosec // Check has seen that it is not negative
	b = binary.BigEndian.AppendUint64(b, uint64(e.Message)) //nolint:gosec // the same
	b = append(b, e.Body...)
	b = append(b, e.Arguments...) // of operations that have no body
	return half(sha256.Sum256(b))
}

func half(sum [sha256.Size]byte) (h Hash) {
	copy(h[:], sum[:])
	return h
}

// Append appends a batch over any rooms, in order, and answers each entry for itself.
func (l *Ledger) Append(ctx context.Context, entries []Entry) []Outcome {
	started := l.now()
	ctx, traced := l.trace(ctx, entries)
	outcomes := make([]Outcome, len(entries))
	good := make([]int, 0, len(entries))
	for i := range entries {
		if outcomes[i].Err = entries[i].Check(); outcomes[i].Err == nil {
			good = append(good, i)
		}
	}
	if len(good) > 0 {
		l.commit(ctx, entries, good, outcomes)
	}
	l.metrics.batch(entries, outcomes, l.now().Sub(started), traced.batch.TraceID())
	traced.end(outcomes)
	return outcomes
}

// commit appends the chosen entries in one transaction. Where the database refuses their data, each
// is tried for itself, so that a poisoned one takes none with it.
func (l *Ledger) commit(ctx context.Context, entries []Entry, chosen []int, outcomes []Outcome) {
	err := l.Transact(ctx, needOf(entries, chosen), func(b *Book) error {
		for _, i := range chosen {
			outcomes[i].Seq, outcomes[i].Err = l.decide(b, &entries[i])
		}
		return nil
	})
	switch {
	case err == nil:
	case errors.Is(err, ErrRefused) && len(chosen) > 1:
		for n := range chosen {
			l.commit(ctx, entries, chosen[n:n+1], outcomes)
		}
	default: // also for what was refused before: it may have been for an entry that is not stored now
		for _, i := range chosen {
			outcomes[i] = Outcome{Err: err}
		}
	}
}

// needOf collects what the chosen entries are decided on.
func needOf(entries []Entry, chosen []int) Need {
	var need Need
	rooms, messages := make(map[chat.RoomID]bool), make(map[MessageKey]bool)
	for _, i := range chosen {
		e := &entries[i]
		rooms[e.Room] = true
		if e.Nonce != "" {
			need.Nonces = append(need.Nonces, e.nonceKey())
		}
		if about := max(e.ReplyTo, e.Message); about != 0 {
			messages[MessageKey{e.Room, about}] = true
		}
	}
	need.Rooms = slices.Sorted(maps.Keys(rooms))
	need.Messages = slices.Collect(maps.Keys(messages))
	return need
}

// decide works one entry into the book. An entry whose nonce is spent gets the answer of the first
// time even if its author has lost access since: "not stored" would be a lie.
func (l *Ledger) decide(b *Book, e *Entry) (chat.Seq, error) {
	room, ok := b.Room(e.Room)
	if !ok || room.Tenant != e.Tenant {
		return 0, policy.NoRoom()
	}
	if e.Nonce != "" {
		if spent, ok := b.spent(e.nonceKey()); ok {
			if spent.Fingerprint != e.fingerprint() {
				return 0, chat.Errorf(chat.CodeConflict, "this nonce was used for something else")
			}
			l.metrics.duplicates.Inc()
			return spent.Seq, nil
		}
	}
	if err := policy.Know(room.Room, &e.Author); err != nil {
		return 0, err
	}
	seq, err := l.apply(b, room, e)
	if err == nil && e.Nonce != "" {
		b.changes.Nonces[e.nonceKey()] = Spent{Tenant: e.Tenant, Seq: seq, Fingerprint: e.fingerprint()}
	}
	return seq, err
}

func (l *Ledger) apply(b *Book, room Room, e *Entry) (chat.Seq, error) {
	author := e.Author.Author()
	if e.Kind == operation.NameSend {
		if e.ReplyTo != 0 && b.message(room.ID, e.ReplyTo) == nil {
			return 0, operation.NoReplyTo()
		}
		return b.append(room, Row{Kind: KindMessage, Author: author, Body: e.Body, ReplyTo: e.ReplyTo, Nonce: e.Nonce}, e.Trace).Seq, nil
	}
	target := b.message(room.ID, e.Message)
	if target == nil || target.DeletedBy != 0 && e.Kind == operation.NameEdit {
		return 0, operation.NoMessage()
	}
	if e.Kind == operation.NameEdit {
		if err := l.rules.Edit(e.Author, target.Author.ID); err != nil {
			return 0, err
		}
		target.Body, target.EditedAt = e.Body, b.now
		b.change(target)
		return b.append(room, Row{Kind: KindEdited, Author: author, Message: target.Seq}, e.Trace).Seq, nil
	}
	if err := l.rules.Delete(e.Author, target.Author.ID); err != nil {
		return 0, err
	}
	if target.DeletedBy != 0 {
		return target.DeletedBy, nil
	}
	deleted := b.append(room, Row{Kind: KindDeleted, Author: author, Message: target.Seq}, e.Trace)
	target.Body, target.DeletedBy = "", deleted.Seq
	b.change(target)
	return deleted.Seq, nil
}
