package session

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/drain"
)

// Aged counts who is sent elsewhere because of the age.
func (m *Metrics) Aged() prometheus.Counter { return m.aged }

// age tells a session that is old to go, and closes it when it has had the time to.
func (s *Session) age(now time.Time) {
	switch {
	case s.leaves == 0 || now.UnixNano() < s.leaves:
	case s.askedToGo:
		s.Close(wire.CloseDrained)
	default:
		within := drain.Within()
		s.askedToGo, s.leaves = true, now.Add(within).UnixNano()
		s.Metrics.aged.Inc()
		s.reply(wire.Draining{Type: "draining", AfterMS: within.Milliseconds()})
	}
}
