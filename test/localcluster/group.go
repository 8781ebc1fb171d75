package localcluster

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
)

// group is processes that need nothing of each other: they start and stop at the same time.
type group []*Child

// Run implements lifecycle.Component. The first child that fails stops the others.
func (g group) Run(ctx context.Context, ready func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		running sync.WaitGroup
		serving atomic.Int64
		errs    = make([]error, len(g))
	)
	for i, child := range g {
		running.Go(func() {
			defer stop()
			errs[i] = child.Run(ctx, func() {
				if serving.Add(1) == int64(len(g)) {
					ready()
				}
			})
		})
	}
	running.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err // the others were stopped because of it
		}
	}
	return nil
}

func (g group) names() string {
	names := make([]string, len(g))
	for i, child := range g {
		names[i] = child.Name
	}
	return strings.Join(names, ", ")
}
