package edge

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/edge/internal/hub"
	"github.com/parley-chat/parley/services/edge/internal/tailer"
)

// contact holds delivery back when auth or rooms have not been heard of for longer than the grace:
// somebody may have lost access meanwhile, and nobody here could know.
type contact struct {
	grace     time.Duration
	hub       *hub.Hub
	tailer    *tailer.Tailer
	followers []*lobby.Follower
	log       *slog.Logger
	now       func() time.Time
	held      prometheus.Gauge
	silence   prometheus.Gauge
}

func newContact(grace time.Duration, rooms *hub.Hub, tail *tailer.Tailer, ofAuth, ofRooms *lobby.Follower, d Deps) *contact {
	metrics := promauto.With(d.Registry)
	return &contact{
		grace: grace, hub: rooms, tailer: tail, followers: []*lobby.Follower{ofAuth, ofRooms}, log: d.Log, now: d.Now,
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
	if !c.hub.Hold(hold) {
		return
	}
	c.log.WarnContext(ctx, "contact with auth or rooms lost or regained", slog.Bool("held", hold), slog.Duration("silence", silence))
	c.held.Set(0)
	if hold {
		c.held.Set(1)
	} else {
		c.tailer.Resume()
	}
}
