package edge

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/edge/internal/feed"
)

// contact holds delivery back when auth or rooms have not answered for longer than the grace:
// somebody may have lost access meanwhile, and nobody here could know.
type contact struct {
	grace     time.Duration
	feed      *feed.Feed
	followers []*lobby.Follower
	log       *slog.Logger
	now       func() time.Time
	held      prometheus.Gauge
	silence   prometheus.Gauge
}

func newContact(grace time.Duration, entries *feed.Feed, ofAuth, ofRooms *lobby.Follower, d Deps) *contact {
	metrics := promauto.With(d.Registry)
	return &contact{
		grace: grace, feed: entries, followers: []*lobby.Follower{ofAuth, ofRooms}, log: d.Log, now: d.Now,
		held:    metrics.NewGauge(prometheus.GaugeOpts{Name: "parley_edge_held", Help: "1 while entries are held back because auth or rooms can't be reached."}),
		silence: metrics.NewGauge(prometheus.GaugeOpts{Name: "parley_edge_silence_seconds", Help: "Since auth and rooms were both heard of."}),
	}
}

// Run implements lifecycle.Component.
func (c *contact) Run(ctx context.Context, ready func()) error {
	ready()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			c.look(ctx)
		}
	}
}

func (c *contact) look(ctx context.Context) {
	var silence time.Duration
	for _, f := range c.followers {
		silence = max(silence, c.now().Sub(f.Heard()))
	}
	c.silence.Set(silence.Seconds())
	hold := silence > c.grace
	if !c.feed.Rooms.Hold(hold) {
		return
	}
	if hold {
		c.held.Set(1)
		c.log.WarnContext(ctx, "auth or rooms is unreachable for longer than the grace; delivery is held back", slog.Duration("silence", silence))
		return
	}
	c.held.Set(0)
	c.log.WarnContext(ctx, "auth and rooms are reachable again; delivery goes on")
	c.feed.Resume()
}
