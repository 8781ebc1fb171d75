package presence

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/redistest"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// newRooms opens a room in which nobody says anything.
func newRooms(log chat.LogID) (*room.Rooms, *room.Room) {
	rooms := room.NewRooms(prometheus.NewRegistry())
	r, _ := rooms.Use("test", roomsapi.Access{ID: 1, Room: &chat.Room{Slug: "a", Log: log}}, func() any { return nil })
	r.Load(roomsapi.Range{Log: log, Floor: 1}, room.Newest{})
	r.Grant(room.Reader{}, roomsapi.Access{ForAll: true})
	return rooms, r
}

// enter makes m a member.
func enter(t *testing.T, r *room.Room, m room.Member) {
	t.Helper()
	_, joining, _, err := r.Admit(m, m.Reader(), room.Join{}, nil)
	if err != nil || !r.Finish(joining, func() {}) {
		t.Fatal(err)
	}
}

// edge is one edge's presence, with its notifications, on a Redis of all.
type edge struct {
	*Presence

	room *room.Room
	stop func()
}

// viewer is a member that notes whom it is told of.
type viewer struct {
	user chat.User
	mu   sync.Mutex
	told []string
}

func (v *viewer) Deliver(_ *room.Room, frames []byte, _ time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var event struct {
		Type  string    `json:"type"`
		User  chat.User `json:"user"`
		Count int       `json:"member_count"`
	}
	if err := json.Unmarshal(frames[strings.IndexByte(string(frames), '{'):], &event); err == nil {
		v.told = append(v.told, fmt.Sprintf("%s %s %d", event.Type, event.User.Name, event.Count))
	}
}
func (v *viewer) TakenOut(*room.Room, []byte) {}
func (*viewer) Reconnect()                    {}
func (v *viewer) User() chat.User             { return v.user }
func (*viewer) Reader() room.Reader           { return room.Reader{} }

func (v *viewer) all() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.told, ", ")
}

func (v *viewer) was(want ...string) func() bool {
	return func() bool { return v.all() == strings.Join(want, ", ") }
}

type subscriber struct{ p *Presence }

func (subscriber) Notified(stream.Room, chat.Seq)                    {}
func (s subscriber) Signalled(r stream.Room, kind byte, text string) { s.p.Signalled(r, kind, text) }

func newEdge(t *testing.T, client redis.UniversalClient, log chat.LogID, limit int) *edge {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	rooms, r := newRooms(log)
	p := New(true, NewRegistry(client, rand.Text(), limit), client, rooms, quiet, prometheus.NewRegistry())
	notifications := stream.NewNotifications(client, subscriber{p}, quiet)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var parts sync.WaitGroup
	parts.Go(func() { _ = notifications.Run(ctx, func() {}) })
	parts.Go(func() { _ = p.Run(ctx, func() {}) })
	eventually(t, "notifications arrive", notifications.Healthy)
	if err := notifications.Subscribe(t.Context(), r.Key); err != nil {
		t.Fatal(err)
	}
	e := &edge{Presence: p, room: r, stop: sync.OnceFunc(func() { stop(); parts.Wait() })}
	t.Cleanup(e.stop)
	return e
}

func (e *edge) join(t *testing.T, name string) *viewer {
	t.Helper()
	v := &viewer{user: chat.User{ID: chat.UserID("id-" + name), Name: name}}
	e.Enter(t.Context(), e.room, v.user)
	enter(t, e.room, v)
	return v
}

// eventually waits for a condition; in a bubble, in virtual time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
	}
}

func names(users []chat.User, count *int) string {
	var all []string
	for _, u := range users {
		all = append(all, u.Name)
	}
	if count != nil {
		all = append(all, fmt.Sprint(*count))
	}
	return strings.Join(all, " ")
}

// registered says that so many are in the registry of e's room.
func registered(t *testing.T, client redis.UniversalClient, e *edge, want int64) func() bool {
	t.Helper()
	return func() bool { return client.HLen(t.Context(), e.room.Key.Key("members")).Val() == want }
}

// On every Redis: edges learn of each other's users, who typing is, and a dead edge's users vanish with its lease.
func TestEdgesMeetOnEveryRedis(t *testing.T) {
	redistest.Each(t, func(t *testing.T, client redis.UniversalClient) {
		log := chat.LogID(rand.Text())
		one, two := newEdge(t, client, log, 100), newEdge(t, client, log, 100)
		ada := one.join(t, "Ada")
		eventually(t, "Ada is registered", registered(t, client, one, 1))
		bob := two.join(t, "Bob")
		if got := names(two.Members(two.room)); got != "Ada Bob 2" {
			t.Error("who comes in is not told who is there:", got)
		}
		eventually(t, "Ada hears of Bob", ada.was("entered Bob 2"))
		two.Typing(two.room, bob.user)
		eventually(t, "Ada sees Bob typing", ada.was("entered Bob 2", "typing Bob 0"))
		two.Exit(two.room, bob.user, false)
		eventually(t, "Ada hears that Bob left", ada.was("entered Bob 2", "typing Bob 0", "exited Bob 1"))
		if !bob.was()() {
			t.Error("Bob was told of himself, or that Ada entered:", bob.all())
		}

		dead := NewRegistry(client, "dead", 100)
		cyd := change{room: one.room.Key, here: []chat.User{{ID: "id-Cyd", Name: "Cyd"}}}
		if err := errors.Join(dead.Lease(t.Context(), time.Second), dead.write(t.Context(), []change{cyd})); err != nil {
			t.Fatal(err)
		}
		there := func() string {
			states, err := one.registry.read(t.Context(), []stream.Room{one.room.Key})
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(states[0].count)
		}
		eventually(t, "the dead edge's lease runs out, and its user is cleared away", func() bool { return there() == "1" && registered(t, client, one, 1)() })
	})
}

// inBubble runs a test of two edges in virtual time.
func inBubble(t *testing.T, test func(t *testing.T, client *redistest.Bubble, one, two *edge)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client := redistest.InBubble(t)
		test(t, client, newEdge(t, client, "l", 100), newEdge(t, client, "l", 100))
	})
}

func TestPresenceAcrossEdges(t *testing.T) {
	inBubble(t, func(t *testing.T, client *redistest.Bubble, one, two *edge) {
		ada := one.join(t, "Ada")
		eventually(t, "Ada is registered", registered(t, client, one, 1))
		bob := two.join(t, "Bob")
		eventually(t, "Ada hears of Bob", ada.was("entered Bob 2"))

		two.join(t, "Bob") // a second socket
		two.Exit(two.room, bob.user, false)
		time.Sleep(time.Minute)
		if !ada.was("entered Bob 2")() {
			t.Error("a socket of several was told:", ada.all())
		}

		two.Exit(two.room, bob.user, true) // lost, and back within the grace, on another edge
		time.Sleep(grace - 2*roundEvery)
		bob2 := one.join(t, "Bob")
		time.Sleep(time.Minute)
		if !ada.was("entered Bob 2")() {
			t.Error("who was back in time was told to have left:", ada.all())
		}
		one.Exit(one.room, bob2.user, false)
		left := time.Now()
		eventually(t, "Ada hears that Bob left", ada.was("entered Bob 2", "exited Bob 1"))
		if took := time.Since(left); took > 2*roundEvery {
			t.Error("Ada heard that Bob left after", took)
		}

		one.Exit(one.room, ada.user, false)
		eventually(t, "nothing is left in Redis", func() bool { return client.Exists(t.Context(), one.room.Key.Key("members")).Val() == 0 })
	})
}

func TestADeadEdgesUsersVanishWithItsLease(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *redistest.Bubble, alive, dead *edge) {
		ada := alive.join(t, "Ada")
		dead.join(t, "Bob")
		eventually(t, "Ada hears of Bob", ada.was("entered Bob 2"))
		dead.stop() // which shortens the lease
		stopped := time.Now()
		time.Sleep(grace)
		if !ada.was("entered Bob 2")() {
			t.Error("Bob was not given the time to come back:", ada.all())
		}
		eventually(t, "Ada hears that Bob is gone", ada.was("entered Bob 2", "exited Bob 1"))
		if took := time.Since(stopped); took > grace+refresh+grace+2*roundEvery {
			t.Error("Ada heard that Bob is gone after", took)
		}
	})
}

func TestARedisThatForgetsEverythingIsToldAgainAndNobodyLeaves(t *testing.T) {
	inBubble(t, func(t *testing.T, client *redistest.Bubble, one, two *edge) {
		ada := one.join(t, "Ada")
		two.join(t, "Bob")
		eventually(t, "Ada hears of Bob", ada.was("entered Bob 2"))
		client.FlushAll(t.Context())
		one.mu.Lock()
		one.tracked[one.room.Key].dirty = true
		one.mu.Unlock()
		time.Sleep(refresh + roundEvery)
		if !registered(t, client, one, 2)() {
			t.Error("both are to be registered again")
		}
		time.Sleep(time.Minute)
		if !ada.was("entered Bob 2")() || names(one.Members(one.room)) != "Ada Bob 2" {
			t.Error(ada.all(), names(one.Members(one.room)))
		}
	})
}

// Nobody leaves because Redis is away, and who comes meanwhile is told of when it is back.
func TestWhileRedisIsAwayNobodyLeaves(t *testing.T) {
	inBubble(t, func(t *testing.T, client *redistest.Bubble, one, two *edge) {
		ada := one.join(t, "Ada")
		two.join(t, "Bob")
		eventually(t, "Ada hears of Bob", ada.was("entered Bob 2"))
		client.Fail(true)
		two.join(t, "Cyd")
		time.Sleep(time.Minute)
		if !ada.was("entered Bob 2")() {
			t.Error("while Redis was away:", ada.all())
		}
		client.Fail(false)
		eventually(t, "Ada hears of Cyd", func() bool { return strings.Contains(ada.all(), "entered Cyd") })
		time.Sleep(time.Minute)
		if !ada.was("entered Bob 2", "entered Cyd 3")() {
			t.Error("when Redis was back:", ada.all())
		}
	})
}

func TestALargeRoomTellsOnlyHowMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, redistest.InBubble(t), "l", 3)
		first := e.join(t, "u0")
		for i := range 5 {
			e.join(t, fmt.Sprint("u", i+1))
		}
		eventually(t, "a count without names", func() bool { return names(e.Members(e.room)) == "6" })
		if told := first.all(); strings.Contains(told, "exited") {
			t.Error(told)
		}
	})
}

func TestTypingIsToldToOthersOncePerThreeSeconds(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *redistest.Bubble, one, two *edge) {
		ada := one.join(t, "Ada")
		bob := two.join(t, "Bob")
		eventually(t, "Ada hears of Bob", ada.was("entered Bob 2"))
		for range 60 {
			two.Typing(two.room, bob.user)
			one.Typing(one.room, bob.user) // of the same user, on another edge
			time.Sleep(typingEvery / 30)
		}
		synctest.Wait()
		if !ada.was("entered Bob 2", "typing Bob 0", "typing Bob 0")() || strings.Contains(bob.all(), "typing") {
			t.Error(ada.all(), bob.all())
		}
	})
}
