// Package ledger keeps the rooms' logs. All that is ever written goes through Transact: one
// transaction that locks the rooms concerned, decides under the lock, writes and commits; only then
// is it told to the streams. Numbers without holes, nonces that hold for good and the order of a
// room's entries all follow from that one lock.
//
// A message's way: append.go (what is asked and decided), book.go (numbering), store.go (what the
// databases promise), event.go (its JSON), read.go (and back out).
package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/services/rooms/internal/policy"
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

// Deps are what a ledger works with.
type Deps struct {
	Store    Store
	Bus      Bus
	Rules    policy.Rules
	Log      *slog.Logger
	Registry prometheus.Registerer
	Tracer   *trace.Tracer // nil: nothing is traced
	Now      func() time.Time
}

// Ledger appends to and reads the rooms' logs. It is safe for concurrent use, also beside ledgers of
// other pods on the same database.
type Ledger struct {
	store   Store
	bus     Bus
	rules   policy.Rules
	log     *slog.Logger
	now     func() time.Time
	tracer  *trace.Tracer
	heads   *Heads
	turns   *turns
	metrics metrics
}

// New makes a ledger.
func New(d Deps) *Ledger {
	return &Ledger{
		store: d.Store, bus: d.Bus, rules: d.Rules, log: d.Log, now: d.Now, tracer: d.Tracer,
		heads: newHeads(d.Store, d.Log, d.Registry, d.Now), turns: newTurns(), metrics: newMetrics(d.Registry),
	}
}

// Heads returns how far the rooms' logs reached that changed lately. It is a part of the process: its
// Run keeps it fresh.
func (l *Ledger) Heads() *Heads { return l.heads }

// Transact locks the rooms of need and has decide fill in a Book, all in one transaction, and hands
// what was committed to the bus. The errors are those of Store.Commit, and decide's own.
//
// This pod's transactions on a room queue here, not in the database: so no connection is held by
// one that waits, and the bus gets a room's entries in order.
func (l *Ledger) Transact(ctx context.Context, need Need, decide func(*Book) error) error {
	l.metrics.turns.Inc()
	_, waits := l.tracer.StartChild(ctx, trace.Internal, "turn")
	done, err := l.turns.take(ctx, need.Rooms)
	waits.End(err)
	l.metrics.turns.Dec()
	if err != nil {
		return l.failed(ctx, fmt.Errorf("waiting for the rooms' turn: %w", err))
	}
	defer done()
	var book *Book
	err = l.store.Commit(ctx, need, func(have Have) (Changes, error) {
		book = open(have, chat.At(l.now()))
		decided := decide(book) // which makes the changes
		return book.changes, decided
	})
	if err != nil {
		return l.failed(ctx, err)
	}
	l.publish(book)
	return nil
}

// failed is what a client is told of a transaction that failed: what decide said, or chat.CodeUnavailable
// for what may be tried again, with the cause behind it.
func (l *Ledger) failed(ctx context.Context, err error) error {
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

func (l *Ledger) publish(book *Book) {
	for _, added := range book.logged() {
		room := added.room
		if added.deletes {
			l.bus.Drop(room.Tenant, room.Log)
		}
		l.bus.Publish(room.Tenant, room.Log, added.entries)
		l.heads.note(room.ID, added.entries[len(added.entries)-1].Seq)
	}
	for _, room := range book.changes.Updated {
		if room.Deleted() {
			l.bus.Drop(room.Tenant, room.Log)
		}
	}
	if len(book.changes.Lobby) > 0 {
		l.bus.Announce(book.have.LobbyLog, book.changes.Lobby)
	}
}
