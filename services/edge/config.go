package edge

import (
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/drain"
	"github.com/parley-chat/parley/services/edge/internal/follow"
	"github.com/parley-chat/parley/services/edge/internal/ratelimit"
	"github.com/parley-chat/parley/services/edge/internal/room"
	"github.com/parley-chat/parley/services/edge/internal/session"
)

// Config is what an operator may choose.
type Config struct {
	AuthURLs, RoomsURLs []string
	Credential          string
	Issuer              string
	Browsers            webapi.Browsers
	Grace               time.Duration
	Limits              session.Limits
	Rates               ratelimit.Rates
	Connects, Polls     limit.Rate
	Open                follow.Open
	Presence            bool
	Drain               drain.Config
}

// ConfigFrom reads the configuration of the service from the environment.
func ConfigFrom(r *env.Reader) Config {
	return Config{
		AuthURLs:   r.URLs("PARLEY_AUTH_URL", "Base URLs of auth's internal listener, such as `http://auth:8081`, comma-separated. Of a name every address is a pod; it is looked up again every few seconds."),
		RoomsURLs:  r.URLs("PARLEY_ROOMS_URL", "Base URLs of rooms' internal listener, such as `http://rooms:8081`, comma-separated. Of a name every address is a pod; it is looked up again every few seconds."),
		Credential: webapi.CredentialFrom(r),
		Issuer:     r.String("PARLEY_ISSUER", "parley", "The issuer that access tokens must name."),
		Browsers:   webapi.BrowsersFrom(r),
		Grace:      r.Duration("PARLEY_GRACE", 30*time.Second, "How long a service that can't reach auth or rooms goes on by what it last heard."),
		Limits: session.Limits{
			Limits: wire.Limits{
				Frame:   max(minFrame, r.Int("PARLEY_EDGE_FRAME_BYTES", 128<<10, 1, "Bytes of a frame that a client may send. Less than 102400 is taken for that much, which holds every message: JSON may write each of its bytes as six.")),
				Body:    chat.MaxBodyBytes,
				Rooms:   r.Int("PARLEY_EDGE_ROOMS", 100, 1, "Rooms that one socket may be in."),
				Replay:  room.MaxReplay,
				Members: r.Int("PARLEY_PRESENCE_MEMBERS", 500, 0, "Members up to which a room names who is there; of more it tells only how many."),
			},
			Heartbeat:   r.Duration("PARLEY_EDGE_HEARTBEAT", 25*time.Second, "How often a socket is pinged; who is silent for two and a half of these is gone."),
			OutboxBytes: r.Int("PARLEY_EDGE_OUTBOX_BYTES", 1<<20, 1<<20, "Bytes that may wait for one socket before it is cut as too slow a reader."),
			MaxAge:      r.Duration("PARLEY_EDGE_MAX_AGE", 4*time.Hour, "About how old a socket or an event stream gets before it is sent elsewhere, so that new edges fill: a fifth more or less; 0 is any age."),
			AuthWithin:  r.Duration("PARLEY_EDGE_AUTH_WITHIN", 5*time.Second, "How long a socket may take to show a token."),
		},
		Rates:    ratesFrom(r),
		Connects: limit.From(r, "CONNECTS", limit.Rate{PerSecond: 100, Burst: 2000}, "Handshakes of one address (IPv6: one /64) on one edge"),
		Polls:    limit.From(r, "POLLS", limit.Rate{PerSecond: 20, Burst: 200}, "Long polls and event streams that one user starts on one edge"),
		Open: follow.Open{
			UserPolls:      r.Int("PARLEY_LIMIT_OPEN_POLLS", 100, 0, "Long polls of one user open at once on one edge; 0 is no limit."),
			AddressPolls:   r.Int("PARLEY_LIMIT_OPEN_POLLS_ADDRESS", 5000, 0, "Long polls of one address (IPv6: one /64) open at once on one edge; 0 is no limit."),
			UserStreams:    r.Int("PARLEY_LIMIT_OPEN_STREAMS", 100, 0, "Event streams of one user open at once on one edge; 0 is no limit."),
			AddressStreams: r.Int("PARLEY_LIMIT_OPEN_STREAMS_ADDRESS", 5000, 0, "Event streams of one address (IPv6: one /64) open at once on one edge; 0 is no limit."),
		},
		Presence: r.Bool("PARLEY_PRESENCE", true, "Whether edges tell who is in a room, and who types."),
		Drain: drain.Config{
			Delay:  r.Duration("PARLEY_DRAIN_DELAY", 5*time.Second, "From SIGTERM until clients are sent elsewhere: the time that others need to notice that this edge is not ready."),
			Spread: r.Duration("PARLEY_DRAIN_SPREAD", 10*time.Second, "Over which the sockets are sent elsewhere."),
			Grace:  r.Duration("PARLEY_DRAIN_GRACE", 25*time.Second, "How long a drain may take in all; less than the time until SIGKILL."),
		},
	}
}

// minFrame holds every send: a message of control characters alone is six times as long in JSON, and the rest of
// the frame (its type, id, room, nonce and what it replies to) is less than envelope.
const (
	envelope = 4 << 10
	minFrame = 6*chat.MaxBodyBytes + envelope
)

func ratesFrom(r *env.Reader) ratelimit.Rates {
	return ratelimit.Rates{
		Sends:          limit.From(r, "SENDS", limit.Rate{PerSecond: 10, Burst: 50}, "Sends, edits and deletes of one user on one edge"),
		Joins:          limit.From(r, "JOINS", limit.Rate{PerSecond: 20, Burst: 200}, "Joins of one user on one edge"),
		Frames:         limit.From(r, "FRAMES", limit.Rate{PerSecond: 200, Burst: 2000}, "Frames and fragments of any kind of one user on one edge, beyond which its sockets are cut,"),
		EarlyFrames:    limit.From(r, "FRAMES_EARLY", limit.Rate{PerSecond: 400, Burst: 8000}, "Frames of one address (IPv6: one /64) on one edge on sockets that have not shown a token, beyond which they are cut,"),
		AddressSends:   limit.From(r, "SENDS_ADDRESS", limit.Rate{PerSecond: 1000, Burst: 5000}, "Sends, edits and deletes of one address (IPv6: one /64) on one edge"),
		AddressBytes:   limit.From(r, "BYTES_ADDRESS", limit.Rate{PerSecond: 256 << 10, Burst: 4 << 20}, "Bytes of messages of one address (IPv6: one /64) on one edge"),
		RoomSends:      limit.From(r, "SENDS_ROOM", limit.Rate{PerSecond: 1000, Burst: 5000}, "Sends, edits and deletes to one room on one edge"),
		RoomBytes:      limit.From(r, "BYTES_ROOM", limit.Rate{PerSecond: 128 << 10, Burst: 2 << 20}, "Bytes of messages to one room on one edge"),
		UserSockets:    r.Int("PARLEY_LIMIT_OPEN_SOCKETS", 100, 0, "Sockets of one user open at once on one edge; 0 is no limit."),
		AddressSockets: r.Int("PARLEY_LIMIT_OPEN_SOCKETS_ADDRESS", 5000, 0, "Sockets of one address (IPv6: one /64) open at once on one edge; 0 is no limit."),
	}
}
