package ws

import (
	"errors"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
)

type metrics struct{ connects *prometheus.CounterVec }

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		connects: metric.Counters(reg, "parley_edge_connects_total", "Handshakes of sockets, by how they were answered.", "result",
			connected, "draining", string(chat.CodeBadRequest), string(chat.CodeUnauthenticated), string(chat.CodeForbidden), string(chat.CodeRateLimited), string(chat.CodeUnavailable)),
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
