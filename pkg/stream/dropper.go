package stream

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// Times and bounds of dropping streams.
const (
	dropAgain = time.Second // what could not be dropped is tried again
	// cleanFor is for how long a stream that was dropped is taken to hold nothing that was deleted. Together with
	// streamExpiry it bounds how long a body stays that was deleted by a pod that died before it had dropped the
	// stream: a room where nobody writes any more loses its stream, and of another one each pod drops it anew.
	cleanFor  = 10 * time.Minute
	maxOwed   = 1 << 16 // rooms; what is beyond is left to cleanFor
	maxClean  = 1 << 16 // rooms; they are begun anew
	dropsEach = 1000    // of those that are owed, in one pipeline
)

// dropper knows which rooms' streams must be dropped before anything is added to them: a stream is a cache, and
// what was deleted may not stay in it. Nothing is added to a stream that this process has not dropped lately and
// since Redis was last away: another pod may have died with a drop that it owed.
type dropper struct {
	owed  map[Room]struct{} // a message or the room was deleted
	clean map[Room]struct{}
	since time.Time // of clean
}

func newDropper() dropper { return dropper{owed: map[Room]struct{}{}, clean: map[Room]struct{}{}} }

// owe says that a room's stream holds what was deleted.
func (d *dropper) owe(room Room) (fits bool) {
	delete(d.clean, room)
	if _, known := d.owed[room]; !known && len(d.owed) >= maxOwed {
		return false
	}
	d.owed[room] = struct{}{}
	return true
}

// forget has every stream dropped anew that something is added to.
func (d *dropper) forget() { clear(d.clean) }

// drops are the drops of one pipeline.
type drops map[Room]*redis.IntCmd

// before drops a room's stream before something is added to it, unless it is clean.
func (d *dropper) before(ctx context.Context, pipe redis.Pipeliner, room Room, under drops) {
	if now := time.Now(); now.Sub(d.since) > cleanFor || len(d.clean) >= maxClean {
		clear(d.clean)
		d.since = now
	}
	if _, clean := d.clean[room]; !clean {
		d.drop(ctx, pipe, room, under)
	}
}

// drop drops a room's stream, which counts as clean from then on.
func (d *dropper) drop(ctx context.Context, pipe redis.Pipeliner, room Room, under drops) {
	under[room] = pipe.Del(ctx, room.Key("room"))
	d.clean[room] = struct{}{}
}

// overdue drops some of the streams that are still owed.
func (d *dropper) overdue(ctx context.Context, pipe redis.Pipeliner, under drops) {
	for room := range d.owed {
		if len(under) >= dropsEach {
			return
		}
		if under[room] == nil {
			d.drop(ctx, pipe, room, under)
		}
	}
}

// done takes in what came of a pipeline's drops.
func (d *dropper) done(ctx context.Context, log *slog.Logger, under drops) {
	for room, command := range under {
		if command.Err() == nil {
			delete(d.owed, room)
		} else {
			delete(d.clean, room)
		}
	}
	if left := len(d.owed); left > 0 {
		log.DebugContext(ctx, "streams with deleted messages are not dropped yet", slog.Int("rooms", left))
	}
}
