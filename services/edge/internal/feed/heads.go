package feed

import (
	"context"
	"log/slog"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// Times of the heads.
const (
	headsEvery = time.Second
	// lateAfter is how old an entry without a notification must be before the connection is held to be broken.
	lateAfter = time.Second
	// headsCover is how far back the heads reach, with a margin; who has not asked for longer fills every room.
	headsCover = 25 * time.Second
	// renewPause is between two renewals: what is broken may not be our connection but that of a pod of
	// rooms, and each renewal costs the rooms whose notifications do arrive.
	renewPause = 10 * time.Second
)

// heads is what is remembered between two questions for the heads.
type heads struct {
	renewed time.Time                // when the notifications were
	last    map[chat.RoomID]chat.Seq // by the last answer
	pending []pendingHead
}

// pendingHead is a head that is further than the room and not late yet: its notification may still arrive.
type pendingHead struct {
	room *room.Room
	head chat.Seq
	late time.Time
}

// followHeads asks once a second, always, until ctx ends.
func (f *Feed) followHeads(ctx context.Context) {
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
			f.checkPending(ctx, again)
			continue
		case <-ticker.C:
		}
		now := time.Now()
		heads, err := f.log.Heads(ctx)
		failed = f.logReach(ctx, failed, err)
		if f.Rooms.Held() {
			continue
		}
		f.retryFills(ctx)
		if err != nil {
			continue
		}
		if now.Sub(last) > headsCover {
			for _, r := range f.Rooms.All() {
				f.fillLater(ctx, r)
			}
		}
		last = now
		f.compare(ctx, heads)
		f.checkPending(ctx, again)
	}
}

// logReach logs when the rooms service becomes unreachable, or reachable again.
func (f *Feed) logReach(ctx context.Context, failed bool, err error) bool {
	switch {
	case ctx.Err() != nil:
	case err != nil && !failed:
		f.logger.WarnContext(ctx, "rooms service is unreachable", slog.Any("error", err))
		return true
	case err == nil && failed:
		f.logger.WarnContext(ctx, "rooms service is reachable again")
		return false
	}
	return failed
}

// compare fills the rooms whose logs reach further than what was delivered, unless a notification has told of
// it and the feed is at work, or may still come: those are looked at again when they are late.
func (f *Feed) compare(ctx context.Context, answer []roomsapi.Head) {
	healthy, silent, now := f.notifications.Healthy(), false, time.Now()
	before := f.heads.last
	f.heads.last = make(map[chat.RoomID]chat.Seq, len(answer))
	f.heads.pending = f.heads.pending[:0]
	for _, h := range answer {
		f.heads.last[h.Room] = h.Head
		r := f.Rooms.ByID(h.Room)
		if r == nil {
			continue
		}
		head, _, loaded := r.Notify(0)
		age := time.Duration(h.AgeMS) * time.Millisecond
		switch {
		case !loaded || h.Head <= head:
		// A busy room's newest entry is never old: what the last answer told of is.
		case healthy && age < lateAfter && head >= before[h.Room]:
			f.heads.pending = append(f.heads.pending, pendingHead{r, h.Head, now.Add(lateAfter - age)})
		default:
			silent = f.fillMissed(ctx, r, h.Head, healthy) || silent
		}
	}
	f.renewIfSilent(ctx, silent)
}

// checkPending fills what has not come by now and is late, and sets the timer for what will be.
func (f *Feed) checkPending(ctx context.Context, again *time.Timer) {
	healthy, silent, now := f.notifications.Healthy(), false, time.Now()
	next := now.Add(headsEvery)
	left := f.heads.pending[:0]
	for _, p := range f.heads.pending {
		switch head, _, loaded := p.room.Notify(0); {
		case !loaded || p.head <= head || f.Rooms.Held() || f.Rooms.ByID(p.room.ID) != p.room:
		case now.Before(p.late):
			left = append(left, p)
			if p.late.Before(next) {
				next = p.late
			}
		default:
			silent = f.fillMissed(ctx, p.room, p.head, healthy) || silent
		}
	}
	clear(f.heads.pending[len(left):])
	f.heads.pending = left
	again.Reset(next.Sub(now))
	f.renewIfSilent(ctx, silent)
}

// fillMissed fills a room that no notification has brought up to head, and says whether one should have come.
func (f *Feed) fillMissed(ctx context.Context, r *room.Room, head chat.Seq, healthy bool) (silent bool) {
	_, notified, _ := r.Notify(0)
	r.Notify(head)
	f.fillLater(ctx, r)
	return healthy && notified < head
}

// renewIfSilent has the notifications' connection renewed if it brought none, but not all the time.
func (f *Feed) renewIfSilent(ctx context.Context, silent bool) {
	if silent && time.Since(f.heads.renewed) > renewPause {
		f.heads.renewed = time.Now()
		f.metrics.renewed.Inc()
		f.logger.WarnContext(ctx, "entries came without a notification; the connection is renewed")
		f.notifications.Renew()
	}
}
