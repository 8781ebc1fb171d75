package session

import (
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/wire"
)

// Lifetime is after how long somebody who stays connected is sent elsewhere, so that pods that are new
// fill: about maxAge, since those who came at once shall not go at once. 0 is never.
func Lifetime(maxAge time.Duration) time.Duration {
	return time.Duration(float64(maxAge) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // only spreads
}

// Within is the time in which somebody who is sent elsewhere goes.
func Within() time.Duration {
	return time.Second + rand.N(4*time.Second) //nolint:gosec // only spreads
}

// Aged counts who is sent elsewhere because of the age.
func (m *Metrics) Aged() prometheus.Counter { return m.aged }

// age tells a session that is old to go, and closes it when it has had the time to.
func (s *Session) age(now time.Time) {
	switch {
	case s.leaves == 0 || now.UnixNano() < s.leaves:
	case s.told:
		s.Close(wire.CloseDrained)
	default:
		within := Within()
		s.told, s.leaves = true, now.Add(within).UnixNano()
		s.Metrics.aged.Inc()
		s.reply(wire.Draining{Type: "draining", AfterMS: within.Milliseconds()})
	}
}
