package gateway

import (
	"errors"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
)

type metrics struct {
	connects         *prometheus.CounterVec
	polling, streams prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, g *Gateway) *metrics {
	m := promauto.With(reg)
	m.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_edge_draining", Help: "1 from when on sockets are sent elsewhere."}, func() float64 {
		if g.isDraining() {
			return 1
		}
		return 0
	})
	followers := m.NewGaugeVec(prometheus.GaugeOpts{Name: "parley_edge_followers", Help: "Long polls and event streams that are open."}, []string{"kind"})
	return &metrics{
		connects: metric.Counters(reg, "parley_edge_connects_total", "Handshakes of sockets, by how they were answered.", "result",
			connected, "draining", string(chat.CodeBadRequest), string(chat.CodeUnauthenticated), string(chat.CodeForbidden), string(chat.CodeRateLimited), string(chat.CodeUnavailable)),
		polling: followers.WithLabelValues("poll"), streams: followers.WithLabelValues("sse"),
	}
}

// connected is a handshake that made a socket.
const connected = "ok"

// handshake counts a handshake that was answered so.
func (m *metrics) handshake(err error, draining bool) {
	result := connected
	switch {
	case draining:
		result = "draining"
	case errors.Is(err, fiber.ErrUpgradeRequired):
		result = string(chat.CodeBadRequest)
	case err != nil:
		result = string(chat.CodeOf(err))
	}
	m.connects.WithLabelValues(result).Inc()
}
