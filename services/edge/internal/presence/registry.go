package presence

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/stream"
)

// Times of the registry. A dead edge's users vanish with its lease; who vanished without a word is
// held to be there for another grace, so that they are gone after lease + refresh + grace at the latest.
const (
	leaseFor    = 15 * time.Second
	renewEvery  = 5 * time.Second
	refresh     = 8 * time.Second
	grace       = 10 * time.Second
	roomExpiry  = time.Minute // of a room's registry that no edge refreshes
	callTimeout = 2 * time.Second
)

// Registry is who is in which room, in Redis: a hash per room with a field per edge and user, which
// counts for as long as the edge renews its lease.
type Registry struct {
	client redis.UniversalClient
	edge   string
	max    int

	mu     sync.Mutex
	leases map[string]lease
}

type lease struct {
	alive bool
	until time.Time // how long we believe it
}

// NewRegistry makes the registry of the edge of that name. Of rooms with more than limit members it
// reads only their number.
func NewRegistry(client redis.UniversalClient, edge string, limit int) *Registry {
	return &Registry{client: client, edge: edge, max: limit, leases: map[string]lease{}}
}

func leaseKey(edge string) string { return "parley:edge:" + edge }

// Lease says that the edge is alive, for d.
func (r *Registry) Lease(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := r.client.Set(ctx, leaseKey(r.edge), "1", d).Err(); err != nil {
		return fmt.Errorf("renew the lease: %w", err)
	}
	return nil
}

// change is what one room's registry must be told: who is here, who is not any more, and which of
// these left on purpose.
type change struct {
	room stream.Room
	here []chat.User
	gone []chat.UserID
	left []chat.UserID
	tell bool // the other edges
}

// signal is the payload of stream.SignalMembers.
type signal struct {
	Edge string        `json:"edge"`
	Left []chat.UserID `json:"left,omitempty"`
}

// write carries out changes, and tells the other edges.
func (r *Registry) write(ctx context.Context, changes []change) error {
	if len(changes) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	pipe := r.client.Pipeline()
	for _, c := range changes {
		key := c.room.Key("members")
		if len(c.gone) > 0 {
			pipe.HDel(ctx, key, r.fields(c.gone)...)
		}
		if len(c.here) > 0 {
			pipe.HSet(ctx, key, r.values(c.here)...)
			pipe.Expire(ctx, key, roomExpiry)
		}
		if c.tell {
			stream.Queue(ctx, r.client, pipe, stream.Signal{Room: c.room, Kind: stream.SignalMembers, Payload: encode(signal{Edge: r.edge, Left: c.left})})
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("write who is here: %w", err)
	}
	return nil
}

func (r *Registry) fields(users []chat.UserID) []string {
	fields := make([]string, len(users))
	for i, user := range users {
		fields[i] = r.edge + "/" + string(user)
	}
	return fields
}

func (r *Registry) values(users []chat.User) []any {
	values := make([]any, 0, 2*len(users))
	for _, user := range users {
		values = append(values, r.edge+"/"+string(user.ID), encode(user))
	}
	return values
}

func encode(v any) string {
	content, err := json.Marshal(v)
	if err != nil {
		panic(err) // users and signals hold nothing that JSON can't
	}
	return string(content)
}

// state is who is in a room. Users is nil where there are more than the registry reads.
type state struct {
	users map[chat.UserID]chat.User
	count int
}

// read returns the states of rooms, in order.
func (r *Registry) read(ctx context.Context, rooms []stream.Room) ([]state, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	pipe := r.client.Pipeline()
	sizes := make([]*redis.IntCmd, len(rooms))
	for i, room := range rooms {
		sizes[i] = pipe.HLen(ctx, room.Key("members"))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read who is here: %w", err)
	}
	pipe = r.client.Pipeline()
	fields := make([]*redis.MapStringStringCmd, len(rooms))
	for i, room := range rooms {
		if sizes[i].Val() <= int64(r.max) {
			fields[i] = pipe.HGetAll(ctx, room.Key("members"))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read who is here: %w", err)
	}
	alive, err := r.alive(ctx, fields)
	if err != nil {
		return nil, err
	}
	states := make([]state, len(rooms))
	dead := r.client.Pipeline()
	for i, room := range rooms {
		all := fields[i]
		if all == nil {
			states[i].count = int(sizes[i].Val())
			continue
		}
		states[i].users = map[chat.UserID]chat.User{}
		for field, content := range all.Val() {
			edge, id, _ := strings.Cut(field, "/")
			var user chat.User
			if !alive[edge] || json.Unmarshal([]byte(content), &user) != nil || id == "" || string(user.ID) != id {
				dead.HDel(ctx, room.Key("members"), field)
				continue
			}
			states[i].users[user.ID] = user
		}
		states[i].count = len(states[i].users)
	}
	_, _ = dead.Exec(ctx) // whoever reads next tries again
	return states, nil
}

// alive finds out which of the edges named in fields are alive.
func (r *Registry) alive(ctx context.Context, fields []*redis.MapStringStringCmd) (map[string]bool, error) {
	now := time.Now()
	alive := map[string]bool{r.edge: true}
	asked := map[string]*redis.IntCmd{}
	pipe := r.client.Pipeline()
	r.mu.Lock()
	for _, all := range fields {
		if all == nil {
			continue
		}
		for field := range all.Val() {
			edge, _, _ := strings.Cut(field, "/")
			switch known := r.leases[edge]; {
			case alive[edge] || asked[edge] != nil:
			case now.Before(known.until):
				alive[edge] = known.alive
			default:
				asked[edge] = pipe.Exists(ctx, leaseKey(edge))
			}
		}
	}
	r.mu.Unlock()
	if len(asked) == 0 {
		return alive, nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read leases: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.leases) > 1000 { // edges come and go under new names
		clear(r.leases)
	}
	for edge, found := range asked {
		alive[edge] = found.Val() == 1
		r.leases[edge] = lease{alive: alive[edge], until: now.Add(time.Second)}
	}
	return alive, nil
}
