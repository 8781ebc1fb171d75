package rooms

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/changefeed"
	"github.com/parley-chat/parley/services/rooms/internal/sqlstore"
)

const sweepEvery = 10 * time.Minute

// sweeper deletes what is over by age. All pods do; they don't get in each other's way.
type sweeper struct {
	store *sqlstore.Store
	now   func() time.Time
}

func (s *sweeper) sweep(ctx context.Context) error {
	if err := untilNone(ctx, s.store.PruneLobby, s.now().Add(-changefeed.Retention)); err != nil {
		return fmt.Errorf("sweeping the lobby: %w", err)
	}
	if err := untilNone(ctx, s.store.PruneAudit, s.now().Add(-audit.Retention)); err != nil {
		return fmt.Errorf("sweeping audit entries: %w", err)
	}
	return nil
}

// untilNone deletes in steps what is from before a moment.
func untilNone(ctx context.Context, step func(context.Context, time.Time) (int, error), before time.Time) error {
	for {
		if n, err := step(ctx, before); n == 0 || err != nil {
			return err
		}
	}
}
