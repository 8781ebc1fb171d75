package lifecycle

import (
	"context"
	"log/slog"
	"time"
)

// Every is a component that does its work when it starts and again after each interval. A failure is logged, and the
// work is tried again at the next interval.
type Every struct {
	Interval time.Duration
	Do       func(ctx context.Context) error
	Log      *slog.Logger
	Failed   string // the log message of a failure
}

// Run works until ctx ends.
func (e Every) Run(ctx context.Context, ready func()) error {
	ready()
	ticker := time.NewTicker(e.Interval)
	defer ticker.Stop()
	for {
		if err := e.Do(ctx); err != nil && ctx.Err() == nil {
			e.Log.WarnContext(ctx, e.Failed, slog.Any("error", err)) //nolint:sloglint // each use has a constant message
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
