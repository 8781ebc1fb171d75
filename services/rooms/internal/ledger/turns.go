package ledger

import (
	"context"
	"slices"

	"github.com/parley-chat/parley/pkg/chat"
)

// turns lets this pod's transactions on a room go one after the other. Rooms share a turn by number;
// a transaction takes its turns in ascending order, so that no two wait for each other.
type turns struct{ held [256]chan struct{} }

func newTurns() *turns {
	t := &turns{}
	for i := range t.held {
		t.held[i] = make(chan struct{}, 1)
	}
	return t
}

// take waits until all the rooms are free, or ctx ends. Done must be called.
func (t *turns) take(ctx context.Context, rooms []chat.RoomID) (done func(), err error) {
	var mine []int
	for _, room := range rooms {
		mine = append(mine, int(uint64(room)%uint64(len(t.held)))) //nolint:gosec // a remainder below 256, whatever the sign was
	}
	slices.Sort(mine)
	mine = slices.Compact(mine)
	release := func(n int) {
		for _, i := range mine[:n] {
			<-t.held[i]
		}
	}
	for n, i := range mine {
		select {
		case t.held[i] <- struct{}{}:
		case <-ctx.Done():
			release(n)
			return nil, ctx.Err()
		}
	}
	return func() { release(len(mine)) }, nil
}
