package httpapi

import (
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/rooms/internal/access"
	"github.com/parley-chat/parley/services/rooms/internal/message"
)

// Limits are how often things may be done: what others are told of, and what costs the database a look.
type Limits struct {
	Creates, Changes, Sends, Reads limit.Rate // by one user
	SendsAddress                   limit.Rate // by all users of an address
	SendsRoom                      limit.Rate // by all users in a room
	ReadsAddress                   limit.Rate // by all of an address who have not signed in
}

// limiters hold the Limits.
type limiters struct {
	creates, changes, sends, sendsAddress, sendsRoom, reads, readsAddress *limit.Limiter
}

func newLimiters(l Limits, registry prometheus.Registerer) limiters {
	refused := metric.Counters(registry, "parley_rooms_refused_total", "Calls of the public API refused because somebody made too many, by the limit.", "limit",
		"creates", "changes", "sends", "sends_address", "sends_room", "reads", "reads_address")
	return limiters{
		creates:      limit.New(l.Creates, refused.WithLabelValues("creates")),
		changes:      limit.New(l.Changes, refused.WithLabelValues("changes")),
		sends:        limit.New(l.Sends, refused.WithLabelValues("sends")),
		sendsAddress: limit.New(l.SendsAddress, refused.WithLabelValues("sends_address")),
		sendsRoom:    limit.New(l.SendsRoom, refused.WithLabelValues("sends_room")),
		reads:        limit.New(l.Reads, refused.WithLabelValues("reads")),
		readsAddress: limit.New(l.ReadsAddress, refused.WithLabelValues("reads_address")),
	}
}

// read lets the caller look something up.
func (l limiters) read(c *fiber.Ctx, caller access.Subject) error {
	if caller.User == nil {
		return l.readsAddress.Allow(webapi.IPKey(webapi.ClientIP(c)))
	}
	return l.reads.Allow(string(caller.User.ID))
}

// send lets the caller write a message.
func (l limiters) send(c *fiber.Ctx, caller access.Subject) error {
	if err := l.sends.Allow(string(caller.User.ID)); err != nil {
		return err
	}
	return l.sendsAddress.Allow(webapi.IPKey(webapi.ClientIP(c)))
}

// sendTo lets a caller write to a room. It is not asked for whoever may not know of the room: they are told nothing, and
// counted nowhere.
func (l limiters) sendTo(room message.Room) error {
	return l.sendsRoom.Allow(strconv.FormatInt(int64(room.ID), 10))
}
