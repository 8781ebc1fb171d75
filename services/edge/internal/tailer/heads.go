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
	last := time.Now()
	for failed := false; ; {
		select {
		case <-ctx.Done():
			return
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

// compare fills the rooms whose logs reach further than what was delivered, unless a bell has told of
// it and the tailer is at work, or may still come.
func (t *Tailer) compare(ctx context.Context, heads []roomsapi.Head) {
	healthy, deaf := t.bells.Healthy(), false
	before := t.told
	t.told = make(map[chat.RoomID]chat.Seq, len(heads))
	for _, h := range heads {
		t.told[h.Room] = h.Head
		room := t.rooms.ByID(h.Room)
		if room == nil {
			continue
		}
		head, rung, open := room.Ring(0)
		// A busy room's newest entry is never old: what the last answer told of is.
		late := time.Duration(h.AgeMS)*time.Millisecond >= lateAfter || head < before[h.Room]
		if !open || h.Head <= head || healthy && !late {
			continue
		}
		deaf = deaf || healthy && rung < h.Head
		room.Ring(h.Head)
		t.fill(ctx, room)
	}
	if deaf && time.Since(t.renewed) > renewPause {
		t.renewed = time.Now()
		t.log.WarnContext(ctx, "entries came of which no bell told; renewing the connection")
		t.bells.Renew()
	}
}
