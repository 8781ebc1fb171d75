package tailer

import (
	"context"
	"log/slog"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/edge/internal/hub"
)

// Heads tells how far logs reach: roomsclient.Client.
type Heads interface {
	// Heads returns the rooms changed in the last 30 seconds.
	Heads(ctx context.Context) ([]roomsapi.Head, error)
}

// Bells is the connection that should have told of news: stream.Bells.
type Bells interface {
	Healthy() bool
	// Renew counts the connection as broken.
	Renew()
}

// Times of the heads.
const (
	headsEvery = time.Second
	// lateAfter is how old an entry that no bell told of must be before the connection is held to be broken.
	lateAfter = time.Second
	// headsCover is how far back the heads reach, with a margin; who has not asked for longer looks at
	// every room.
	headsCover = 25 * time.Second
	// renewPause is between two renewals: what is broken may not be our connection but that of a pod of
	// rooms, and each renewal costs the rooms whose bells do ring.
	renewPause = 10 * time.Second
)

// followHeads asks once a second, always, until ctx ends.
func (t *Tailer) followHeads(ctx context.Context) {
	ticker := time.NewTicker(headsEvery)
	defer ticker.Stop()
	again := time.NewTimer(headsEvery)
	defer again.Stop()
	last := time.Now()
	for failed := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			t.lookAgain(ctx, again)
			continue
		case <-ticker.C:
		}
		now := time.Now()
		heads, err := t.heads.Heads(ctx)
		if (err != nil) != failed && ctx.Err() == nil {
			failed = err != nil
			t.log.WarnContext(ctx, "the rooms service answers or not", slog.Bool("answers", !failed), slog.Any("error", err))
		}
		if t.rooms.Held() {
			continue
		}
		t.tryAgain(ctx)
		if err != nil {
			continue
		}
		if now.Sub(last) > headsCover {
			for _, room := range t.rooms.All() {
				t.fill(ctx, room)
			}
		}
		last = now
		t.compare(ctx, heads)
		t.lookAgain(ctx, again)
	}
}

// tryAgain fills the rooms that could not be filled.
func (t *Tailer) tryAgain(ctx context.Context) {
	t.mu.Lock()
	unfit := t.unfit
	t.unfit = map[*hub.Room]struct{}{}
	t.mu.Unlock()
	for room := range unfit {
		if t.rooms.ByID(room.ID) == room {
			t.fill(ctx, room)
		}
	}
}

// young is an entry that the heads told of before it was late: its bell may still ring.
type young struct {
	room *hub.Room
	head chat.Seq
	late time.Time
}

// compare fills the rooms whose logs reach further than what was delivered, unless a bell has told of
// it and the tailer is at work, or may still come: those are looked at again when they are late.
func (t *Tailer) compare(ctx context.Context, heads []roomsapi.Head) {
	healthy, deaf, now := t.bells.Healthy(), false, time.Now()
	before := t.told
	t.told = make(map[chat.RoomID]chat.Seq, len(heads))
	t.young = t.young[:0]
	for _, h := range heads {
		t.told[h.Room] = h.Head
		room := t.rooms.ByID(h.Room)
		if room == nil {
			continue
		}
		head, _, open := room.Ring(0)
		age := time.Duration(h.AgeMS) * time.Millisecond
		switch {
		case !open || h.Head <= head:
		// A busy room's newest entry is never old: what the last answer told of is.
		case healthy && age < lateAfter && head >= before[h.Room]:
			t.young = append(t.young, young{room, h.Head, now.Add(lateAfter - age)})
		default:
			deaf = t.missed(ctx, room, h.Head, healthy) || deaf
		}
	}
	t.renew(ctx, deaf)
}

// lookAgain fills what has not come by now and is late, and sets the timer for what will be.
func (t *Tailer) lookAgain(ctx context.Context, again *time.Timer) {
	healthy, deaf, now := t.bells.Healthy(), false, time.Now()
	next := now.Add(headsEvery)
	left := t.young[:0]
	for _, y := range t.young {
		switch head, _, open := y.room.Ring(0); {
		case !open || y.head <= head || t.rooms.Held() || t.rooms.ByID(y.room.ID) != y.room:
		case now.Before(y.late):
			left = append(left, y)
			if y.late.Before(next) {
				next = y.late
			}
		default:
			deaf = t.missed(ctx, y.room, y.head, healthy) || deaf
		}
	}
	clear(t.young[len(left):])
	t.young = left
	again.Reset(next.Sub(now))
	t.renew(ctx, deaf)
}

// missed fills a room that no bell has brought up to head, and says whether one should have rung.
func (t *Tailer) missed(ctx context.Context, room *hub.Room, head chat.Seq, healthy bool) (deaf bool) {
	_, rung, _ := room.Ring(0)
	room.Ring(head)
	t.fill(ctx, room)
	return healthy && rung < head
}

// renew has the bells' connection renewed if it was deaf, but not all the time.
func (t *Tailer) renew(ctx context.Context, deaf bool) {
	if deaf && time.Since(t.renewed) > renewPause {
		t.renewed = time.Now()
		t.metrics.renewed.Inc()
		t.log.WarnContext(ctx, "entries came of which no bell told; renewing the connection")
		t.bells.Renew()
	}
}
