//go:build linux

package soak

import (
	"context"
	"net/http"
	"time"

	"github.com/parley-chat/parley/pkg/client"
)

// Load has a crowd come and go at the Parley on base, of that many at a time, until ctx ends.
func Load(ctx context.Context, base string, seats int, seed uint64) error {
	c, err := newCrowd(ctx, base, seed, client.NewHTTP(base, &http.Client{Timeout: 20 * time.Second}))
	if err != nil {
		return err
	}
	c.run(ctx, seats)
	return nil
}
