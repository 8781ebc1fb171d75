package presence

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// typingEvery is how often a user is told of as typing in a room, whatever the user's edges are.
const typingEvery = 3 * time.Second

// Bounds of what waits and of what is remembered; what is beyond them is not told: typing is told at
// most once.
const (
	maxSignals = 1000
	maxTypists = 10_000
)

type typist struct {
	room stream.Room
	user chat.UserID
	told bool // of what is told here, not of what is sent from here
}

// Typing tells the others in the room, on all edges, that user types.
func (p *Presence) Typing(r *room.Room, user chat.User) {
	payload, err := json.Marshal(user.Author())
	if !p.on || err != nil || !p.mayTell(typist{r.Key, user.ID, false}) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.signals) < maxSignals {
		p.signals = append(p.signals, stream.Signal{Room: r.Key, Kind: stream.SignalTyping, Payload: string(payload)})
		p.wakeUp()
	}
}

// tellTyping tells the members here.
func (p *Presence) tellTyping(r *room.Room, user chat.Author) {
	if !p.mayTell(typist{r.Key, user.ID, true}) {
		return
	}
	if payload, err := json.Marshal(wire.Typing{Type: "typing", Room: r.Slug, User: user}); err == nil {
		r.Broadcast(wire.AppendText(nil, payload), user.ID)
	}
}

func (p *Presence) mayTell(who typist) bool {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.typing[who]) {
		return false
	}
	if len(p.typing) >= maxTypists {
		for other, until := range p.typing {
			if now.After(until) {
				delete(p.typing, other)
			}
		}
		if len(p.typing) >= maxTypists {
			return false
		}
	}
	p.typing[who] = now.Add(typingEvery)
	return true
}

func (p *Presence) sendSignals(ctx context.Context) {
	p.mu.Lock()
	signals := p.signals
	p.signals = nil
	p.mu.Unlock()
	if len(signals) == 0 {
		return
	}
	if err := stream.Send(ctx, p.client, signals); err != nil {
		p.log.DebugContext(ctx, "typing was not told", slog.Any("error", err))
	}
}
