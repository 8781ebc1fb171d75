package session

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/wire"
)

// Metrics are what sessions count, all sessions of an edge together.
type Metrics struct {
	connections prometheus.Gauge
	closed      *prometheus.CounterVec
	commands    *prometheus.CounterVec
	answers     *prometheus.HistogramVec
	acks        *prometheus.HistogramVec
	delivery    prometheus.Histogram
	waiting     atomic.Int64 // bytes, in all outboxes
	outbox      prometheus.GaugeFunc
	cuts        prometheus.Counter
	aged        prometheus.Counter
	refused     *prometheus.CounterVec
}

// The limits that refusals are counted by.
const (
	LimitConnects = "connects"
	LimitPolls    = "polls"
	limitJoins    = "joins"
	limitSends    = "sends"
	limitFrames   = "frames"

	limitAddressSends   = "sends_address"
	limitAddressBytes   = "bytes_address"
	limitRoomSends      = "sends_room"
	limitRoomBytes      = "bytes_room"
	limitEarlyFrames    = "frames_early"
	limitUserSockets    = "open_sockets"
	limitAddressSockets = "open_sockets_address"
	LimitUserStreams    = "open_streams"
	LimitAddressStreams = "open_streams_address"
	LimitUserPolls      = "open_polls"
	LimitAddressPolls   = "open_polls_address"
)

// NewMetrics makes the sessions' metrics.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := promauto.With(registry)
	all := &Metrics{
		connections: m.NewGauge(prometheus.GaugeOpts{Name: "parley_edge_connections", Help: "Open sockets."}),
		closed: metric.Counters(registry, "parley_edge_closed_total", "Sockets that ended, by close code; 1000: by the client or the network.", "code",
			"1000", "1002", "1003", "1007", "1009", "1012", "4401", "4408", "4429"),
		commands: m.NewCounterVec(prometheus.CounterOpts{Name: "parley_edge_commands_total", Help: "Frames of clients, by type and result."}, []string{"type", "result"}),
		answers:  metric.Histograms(registry, "parley_edge_command_seconds", "From a client's frame to its answer, by type.", metric.Times(), "type"),
		acks:     metric.Histograms(registry, "parley_edge_ack_seconds", "From a send, edit or delete to its answer.", metric.Times(), "type"),
		delivery: metric.Histogram(registry, "parley_edge_delivery_seconds", "From an entry's append to the end of the write to a socket.", metric.Times()),
		cuts:     m.NewCounter(prometheus.CounterOpts{Name: "parley_edge_slow_reader_cuts_total", Help: "Sockets cut because they read too slowly (4408)."}),
		aged:     m.NewCounter(prometheus.CounterOpts{Name: "parley_edge_aged_total", Help: "Sockets and event streams sent elsewhere because they were old."}),
		refused: metric.Counters(registry, "parley_edge_refused_total", "What was refused because somebody did too much of it, by the limit.", "limit",
			LimitConnects, LimitPolls, limitJoins, limitSends, limitFrames, limitAddressSends, limitAddressBytes, limitRoomSends, limitRoomBytes, limitEarlyFrames,
			limitUserSockets, limitAddressSockets, LimitUserStreams, LimitAddressStreams, LimitUserPolls, LimitAddressPolls),
	}
	all.outbox = m.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_edge_outbox_bytes", Help: "Bytes that wait for sockets, all together."},
		func() float64 { return float64(all.waiting.Load()) })
	for _, kind := range append(types(), unknown) {
		all.commands.WithLabelValues(kind, result(nil))
		all.answers.WithLabelValues(kind)
	}
	for _, o := range operation.All {
		kind := string(o.Name)
		all.acks.WithLabelValues(kind)
		for _, failed := range []chat.Code{chat.CodeUnavailable, chat.CodeInternal} { // a rate does not see what a series is born with
			all.commands.WithLabelValues(kind, string(failed))
		}
	}
	return all
}

// Refused counts what one of the limits refused.
func (m *Metrics) Refused(limit string) prometheus.Counter { return m.refused.WithLabelValues(limit) }

// answered counts a frame that was answered, with its trace, "" for none.
func (m *Metrics) answered(kind string, since time.Time, err error, traceID string) {
	m.commands.WithLabelValues(kind, result(err)).Inc()
	metric.Since(m.answers.WithLabelValues(kind), since, traceID)
}

func types() []string {
	all := []string{wire.TypeAuth, wire.TypeJoin, wire.TypeLeave, wire.TypeHistory, wire.TypeTyping, wire.TypeMembers}
	for _, o := range operation.All {
		all = append(all, string(o.Name))
	}
	return all
}

// unknown is the type of frames that have none of ours.
const unknown = "unknown"

// label keeps to the closed set of types, since strangers may send any.
func label(kind string) string {
	switch kind {
	case wire.TypeAuth, wire.TypeJoin, wire.TypeLeave, wire.TypeHistory, wire.TypeTyping, wire.TypeMembers:
		return kind
	}
	if operation.Find(operation.Name(kind)) != nil {
		return kind
	}
	return unknown
}

func result(err error) string {
	if err == nil {
		return "ok"
	}
	return string(chat.CodeOf(err))
}
