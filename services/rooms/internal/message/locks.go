package message

import (
	"context"
	"slices"

	"github.com/parley-chat/parley/pkg/chat"
)

// roomLocks let this pod's transactions on a room go one after the other. Rooms share a lock by number;
// a transaction takes its locks in ascending order, so that no two wait for each other.
type roomLocks struct{ held [256]chan struct{} }

func newRoomLocks() *roomLocks {
	l := &roomLocks{}
	for i := range l.held {
		l.held[i] = make(chan struct{}, 1)
	}
	return l
}

// lock waits until all the rooms are free, or ctx ends. Unlock must be called.
func (l *roomLocks) lock(ctx context.Context, rooms []chat.RoomID) (unlock func(), err error) {
	var mine []int
	for _, room := range rooms {
		mine = append(mine, int(uint64(room)%uint64(len(l.held)))) //nolint:gosec // a remainder below 256, whatever the sign was
	}
	slices.Sort(mine)
	mine = slices.Compact(mine)
	release := func(n int) {
		for _, i := range mine[:n] {
			<-l.held[i]
		}
	}
	for n, i := range mine {
		select {
		case l.held[i] <- struct{}{}:
		case <-ctx.Done():
			release(n)
			return nil, ctx.Err()
		}
	}
	return func() { release(len(mine)) }, nil
}
