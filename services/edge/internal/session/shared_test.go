package session

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/access"
	"github.com/parley-chat/parley/services/edge/internal/feed"
	"github.com/parley-chat/parley/services/edge/internal/outbox"
	"github.com/parley-chat/parley/services/edge/internal/ratelimit"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// newShared makes what the sessions of a test have in common. Every token is one of claims, until it is revoked.
func newShared(claims token.Claims, rooms interface {
	feed.Log
	Rooms
	access.Asker
},
) (*Shared, *token.Revocations) {
	registry, revocations := prometheus.NewRegistry(), token.NewRevocations(time.Now)
	log := slog.New(slog.DiscardHandler)
	entries := feed.New(room.NewRooms(registry), rooms, nil, log, registry)
	entries.SetNotifications(away{})
	return &Shared{
		Feed: entries, Access: &access.Access{Feed: entries, Asker: rooms}, Rooms: rooms, Presence: noPresence{}, Verifier: &anyToken{claims, revocations},
		Limiter: ratelimit.New(ratelimit.Rates{}, registry), Writers: outbox.NewWriters(), Outboxes: outbox.NewMetrics(registry),
		Limits: Limits{Limits: wire.Limits{Rooms: 10}, OutboxBytes: 1 << 20, Heartbeat: 1000 * time.Hour}, Metrics: NewMetrics(registry), Log: log,
	}, revocations
}

// anyToken verifies every token as the same, for as long as that is not revoked.
type anyToken struct {
	claims      token.Claims
	revocations *token.Revocations
}

func (v *anyToken) Verify(context.Context, string) (token.Claims, error) {
	if v.revocations.Revoked(v.claims) {
		return token.Claims{}, chat.Errorf(chat.CodeUnauthenticated, "revoked")
	}
	return v.claims, nil
}
