// Package drain sends clients elsewhere when the edge stops.
package drain

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/chat"
)

// Config says how long the edge takes to stop: Delay for others to notice that it is not ready, then
// Spread over which its sockets are told to go, and Grace in all.
type Config struct{ Delay, Spread, Grace time.Duration }

// Sockets are sent elsewhere: ws.Server. Polls and event streams end by themselves when the drain begins.
type Sockets interface {
	// Drain tells the sockets to go, within that time, and returns when all have ended.
	Drain(ctx context.Context, spread time.Duration)
}

// Drain is the edge's, which begins once.
type Drain struct {
	Config

	// Sockets is set before Run.
	Sockets Sockets
	begun   chan struct{}
}

// New makes a drain.
func New(c Config, registry prometheus.Registerer) *Drain {
	d := &Drain{Config: c, begun: make(chan struct{})}
	promauto.With(registry).NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_edge_draining", Help: "1 from when on sockets are sent elsewhere."}, func() float64 {
		if d.HasBegun() {
			return 1
		}
		return 0
	})
	return d
}

// Begun is closed when the drain begins.
func (d *Drain) Begun() <-chan struct{} { return d.begun }

// HasBegun says whether the drain has begun.
func (d *Drain) HasBegun() bool {
	select {
	case <-d.begun:
		return true
	default:
		return false
	}
}

// Run waits for ctx to end and then sends everybody elsewhere. It must be the first part to stop, while the listener
// still answers.
func (d *Drain) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.Grace)
	defer cancel()
	delay := time.NewTimer(d.Delay)
	defer delay.Stop()
	<-delay.C
	close(d.begun)
	d.Sockets.Drain(stopping, d.Spread) // polls and streams are answered meanwhile
	return nil
}

// Err is what is told to those who come while the edge drains.
func Err() error {
	return &chat.Error{Code: chat.CodeUnavailable, Message: "this part of Parley is stopping, come again", RetryAfter: time.Second}
}
