// Package message keeps the rooms' logs. All that is ever written goes through Transact: one
// transaction that locks the rooms concerned, decides under the lock, writes and commits; only then
// is it told to the streams. Numbers without holes, nonces that hold for valid and the order of a
// room's entries all follow from that one lock.
//
// A message's way: append.go (what is asked and decided), tx.go (numbering), store.go (what the
// databases promise), event.go (its JSON), read.go (and back out).
package message

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/services/rooms/internal/access"
)

// Bus carries what was committed to the edges. It never blocks and may lose anything: what does not
// arrive, the edges find by heads and fetch by range.
type Bus interface {
	// Publish gets a log's new entries, ascending; those of one pod come in the order of their seqs.
	Publish(tenant chat.TenantID, log chat.LogID, entries []roomsapi.Entry)
	// Drop forgets all that the log's stream holds, since it may hold what was deleted.
	Drop(tenant chat.TenantID, log chat.LogID)
	// Announce gets new events of the lobby.
	Announce(log chat.LogID, events []lobby.Event)
}

// Deps are what a log works with.
type Deps struct {
	Store    Store
	Bus      Bus
	Members  Members
	Rules    access.Rules
	Log      *slog.Logger
	Registry prometheus.Registerer
	Tracer   *trace.Tracer // nil: nothing is traced
	Now      func() time.Time
}

// Log appends to and reads the rooms' logs. It is safe for concurrent use, also beside those of
// other pods on the same database.
type Log struct {
	store   Store
	bus     Bus
	members Members
	rules   access.Rules
	log     *slog.Logger
	now     func() time.Time
	tracer  *trace.Tracer
	heads   *Heads
	locks   *roomLocks
	seen    seenRooms
	metrics metrics
}

// New makes a log.
func New(d Deps) *Log {
	return &Log{
		store: d.Store, bus: d.Bus, members: d.Members, rules: d.Rules, log: d.Log, now: d.Now, tracer: d.Tracer,
		heads: newHeads(d.Store, d.Log, d.Registry, d.Now), locks: newRoomLocks(), metrics: newMetrics(d.Registry),
	}
}

// Heads returns how far the rooms' logs reached that changed lately. It is a part of the process: its
// Run keeps it fresh.
func (l *Log) Heads() *Heads { return l.heads }

// Transact locks the rooms of need and lets decide work in a Transaction, all in one transaction, and hands
// what was committed to the bus. The errors are those of Store.Commit, and decide's own.
//
// This pod's transactions on a room queue here, not in the database: so no connection is held by
// one that waits, and the bus gets a room's entries in order.
func (l *Log) Transact(ctx context.Context, need Need, decide func(*Transaction) error) error {
	l.metrics.lockWaits.Inc()
	_, waits := l.tracer.StartChild(ctx, trace.Internal, "room lock")
	done, err := l.locks.lock(ctx, need.Rooms)
	waits.End(err)
	l.metrics.lockWaits.Dec()
	if err != nil {
		return l.failed(ctx, fmt.Errorf("waiting for the rooms' other transactions: %w", err))
	}
	defer done()
	var tx *Transaction
	err = l.store.Commit(ctx, need, func(have Have) (Changes, error) {
		tx = open(have, chat.At(l.now()))
		for _, room := range have.Rooms {
			l.seen.see(room)
		}
		decided := decide(tx) // which makes the changes
		return tx.changes, decided
	})
	if err != nil {
		return l.failed(ctx, err)
	}
	l.publish(tx)
	audit.Log(ctx, l.log, tx.changes.Audit...)
	return nil
}

// failed is what a client is told of a transaction that failed: what decide said, or chat.CodeUnavailable
// for what may be tried again, with the cause behind it.
func (l *Log) failed(ctx context.Context, err error) error {
	if _, decided := errors.AsType[*chat.Error](err); decided {
		return err
	}
	shown := chat.Errorf(chat.CodeUnavailable, "the database is not available: send the same nonce again")
	switch {
	case errors.Is(err, ErrRefused):
		shown = chat.Errorf(chat.CodeBadRequest, "the database does not take this")
	case errors.Is(err, ErrUnknown):
		shown.Message = "it is unknown whether this was stored: send the same nonce again"
	}
	l.log.ErrorContext(ctx, "transaction failed", slog.String("shown", string(shown.Code)), slog.Any("error", err))
	return fmt.Errorf("%w: %w", shown, err)
}

func (l *Log) publish(tx *Transaction) {
	for _, gained := range tx.added() {
		room := gained.room
		if tx.drops[room.ID] {
			l.bus.Drop(room.Tenant, room.Log)
		}
		l.bus.Publish(room.Tenant, room.Log, gained.entries)
		l.heads.note(room.ID, gained.entries[len(gained.entries)-1].Seq)
	}
	for _, room := range tx.changes.Updated {
		l.seen.see(room)
		if room.Deleted() {
			l.bus.Drop(room.Tenant, room.Log)
		}
	}
	if len(tx.changes.Lobby) > 0 {
		l.bus.Announce(tx.have.LobbyLog, tx.changes.Lobby)
	}
}
