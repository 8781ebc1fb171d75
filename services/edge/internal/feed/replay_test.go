package feed

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// slowReads takes a second for a page, and counts how many are read, in all and at a time.
type slowReads struct {
	log

	pages           sync.Mutex
	now, most, read int
}

func (l *slowReads) Entries(ctx context.Context, id chat.RoomID, after chat.Seq, limit, size int) (roomsapi.Range, error) {
	l.pages.Lock()
	l.now++
	l.read++
	l.most = max(l.most, l.now)
	l.pages.Unlock()
	time.Sleep(time.Second)
	l.pages.Lock()
	l.now--
	l.pages.Unlock()
	return l.log.Entries(ctx, id, after, limit, size)
}

// A hundred clients that begin at the beginning of a room share one read of the log, and clients that begin at
// different places are served two at a time: they must not take the processor from those who talk.
func TestReplaysShareReads(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from       func(i int) chat.Seq
		clients    int
		read, most int
	}{
		"the same place":   {func(int) chat.Seq { return 0 }, 100, 1, 1},
		"different places": {func(i int) chat.Seq { return chat.Seq(i) }, 8, 8, replays},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &slowReads{}
				l.append(20)
				f := New(room.NewRooms(prometheus.NewRegistry()), l, nil, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
				var all sync.WaitGroup
				for i := range c.clients {
					all.Go(func() {
						page, err := f.replay(t.Context(), 1, c.from(i))
						if err != nil || len(page.Entries) != 20-int(c.from(i)) {
							t.Error(len(page.Entries), err)
						}
					})
				}
				all.Wait()
				if l.read != c.read || l.most != c.most {
					t.Errorf("%d pages were read, %d at a time, not %d and %d", l.read, l.most, c.read, c.most)
				}
			})
		})
	}
}

// Whoever waits too long for its turn is told to come again.
func TestAReplayIsNotWaitedForForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &slowReads{}
		l.append(20)
		f := New(room.NewRooms(prometheus.NewRegistry()), l, nil, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if _, err := f.replay(ctx, 1, 0); chat.CodeOf(err) != chat.CodeUnavailable {
			t.Error(err)
		}
		time.Sleep(time.Second) // until the shared read has ended
	})
}
