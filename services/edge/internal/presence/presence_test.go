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
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/redistest"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/services/edge/internal/hub"
)

// emptyLog is the log of a room in which nobody says anything.
type emptyLog struct{ name chat.LogID }

func (l emptyLog) Tail(context.Context, chat.RoomID, int, int) (roomsapi.Range, error) {
	return roomsapi.Range{Log: l.name, Floor: 1}, nil
}

func (l emptyLog) Entries(context.Context, chat.RoomID, chat.Seq, int, int) (roomsapi.Range, error) {
	return roomsapi.Range{}, errors.New("not asked here")
}

func (emptyLog) History(context.Context, chat.RoomID, chat.Seq, int) (roomsapi.History, error) {
	return roomsapi.History{}, nil
}

// edge is one edge's presence, with its hub and bells, on a Redis of all.
type edge struct {
	*Presence

	room *hub.Room
	stop func()
}

// viewer is a member that notes whom it is told of.
type viewer struct {
	user chat.User
	mu   sync.Mutex
	told []string
}

func (v *viewer) Deliver(_ *hub.Room, frames []byte, _ time.Time) {
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
func (v *viewer) TakenOut(*hub.Room, []byte) {}
func (v *viewer) User() chat.User            { return v.user }

func (v *viewer) was(want ...string) func() bool {
	return func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return strings.Join(v.told, ", ") == strings.Join(want, ", ")
	}
}

type hearer struct{ p *Presence }

func (hearer) Rang(stream.Room, chat.Seq)                        {}
func (h hearer) Signalled(r stream.Room, kind byte, text string) { h.p.Signalled(r, kind, text) }

func newEdge(t *testing.T, client redis.UniversalClient, log chat.LogID, limit int) *edge {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	h := hub.New(emptyLog{log}, quiet, prometheus.NewRegistry())
	p := New(true, NewRegistry(client, rand.Text(), limit), client, h, quiet, prometheus.NewRegistry())
	bells := stream.NewBells(client, hearer{p}, quiet)
	h.Connect(bells, func(*hub.Room) {})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var parts sync.WaitGroup
	parts.Go(func() { _ = bells.Run(ctx, func() {}) })
	parts.Go(func() { _ = p.Run(ctx, func() {}) })
	for deadline := time.Now().Add(5 * time.Second); !bells.Healthy() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	room, err := h.Open(t.Context(), "test", roomsapi.Access{ID: 1, Room: &chat.Room{Slug: "a", Log: log}})
	if err != nil {
		t.Fatal(err)
	}
	e := &edge{Presence: p, room: room, stop: sync.OnceFunc(func() { stop(); parts.Wait() })}
	t.Cleanup(e.stop)
	return e
}

func (e *edge) join(t *testing.T, name string) *viewer {
	t.Helper()
	v := &viewer{user: chat.User{ID: chat.UserID("id-" + name), Name: name}}
	e.Enter(t.Context(), e.room, v.user)
	// Joining the hub needs no log here: members are told through the room.
	hubJoin(t, e.room, v)
	return v
}

func hubJoin(t *testing.T, room *hub.Room, v *viewer) {
	t.Helper()
	h := hub.New(emptyLog{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	room.Grant("user", true, 0)
	if err := h.Join(t.Context(), room, v, "user", 0, hub.Join{}, func(hub.Snapshot) func() { return func() {} }); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(5 * time.Millisecond) {
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

func TestPresenceAcrossEdges(t *testing.T) {
	redistest.Each(t, func(t *testing.T, client redis.UniversalClient) {
		t.Parallel()
		log := chat.LogID(rand.Text())
		one, two := newEdge(t, client, log, 100), newEdge(t, client, log, 100)
		ada := one.join(t, "Ada")
		eventually(t, 3*time.Second, "Ada is registered", func() bool { return client.HLen(t.Context(), one.room.Key.Key("members")).Val() == 1 })
		bob := two.join(t, "Bob")
		if got := names(two.Members(two.room)); got != "Ada Bob 2" {
			t.Error("who comes in is not told who is there:", got)
		}
		eventually(t, 3*time.Second, "Ada hears of Bob", ada.was("entered Bob 2"))
		if !bob.was()() {
			t.Error("Bob was told of himself, or that Ada entered:", bob.told)
		}

		two.join(t, "Bob") // a second socket
		two.Exit(two.room, bob.user, false)
		time.Sleep(2 * roundEvery)
		if !ada.was("entered Bob 2")() {
			t.Error("a socket of several was told:", ada.told)
		}

		two.Exit(two.room, bob.user, true) // lost, and back within the grace, on another edge
		time.Sleep(roundEvery)
		bob2 := one.join(t, "Bob")
		time.Sleep(grace + 2*roundEvery)
		if !ada.was("entered Bob 2")() {
			t.Error("who was back in time was told to have left:", ada.told)
		}
		one.Exit(one.room, bob2.user, false)
		eventually(t, 4*time.Second, "Ada hears that Bob left", ada.was("entered Bob 2", "exited Bob 1"))

		one.Exit(one.room, ada.user, false)
		eventually(t, 4*time.Second, "nothing is left in Redis", func() bool { return client.Exists(t.Context(), one.room.Key.Key("members")).Val() == 0 })
	})
}

func TestADeadEdgesUsersVanishWithItsLease(t *testing.T) {
	t.Parallel()
	client := redistest.Real(t)
	log := chat.LogID(rand.Text())
	alive, dead := newEdge(t, client, log, 100), newEdge(t, client, log, 100)
	ada := alive.join(t, "Ada")
	dead.join(t, "Bob")
	eventually(t, 5*time.Second, "Ada hears of Bob", ada.was("entered Bob 2"))
	dead.stop()
	client.Del(context.Background(), leaseKey(dead.registry.edge)) // as if it had run out
	eventually(t, refresh+grace+10*time.Second, "Ada hears that Bob is gone", ada.was("entered Bob 2", "exited Bob 1"))
}

func TestARedisThatForgetsEverythingIsToldAgainAndNobodyLeaves(t *testing.T) {
	t.Parallel()
	client := redistest.Real(t)
	log := chat.LogID(rand.Text())
	one, two := newEdge(t, client, log, 100), newEdge(t, client, log, 100)
	ada := one.join(t, "Ada")
	two.join(t, "Bob")
	eventually(t, 5*time.Second, "Ada hears of Bob", ada.was("entered Bob 2"))
	client.Del(t.Context(), one.room.Key.Key("members"))
	one.mu.Lock()
	one.tracked[one.room.Key].dirty = true
	one.mu.Unlock()
	eventually(t, refresh+3*time.Second, "both are registered again", func() bool {
		return client.HLen(t.Context(), one.room.Key.Key("members")).Val() == 2
	})
	time.Sleep(2 * roundEvery)
	if !ada.was("entered Bob 2")() || names(one.Members(one.room)) != "Ada Bob 2" {
		t.Error(ada.told, names(one.Members(one.room)))
	}
}

func TestALargeRoomTellsOnlyHowMany(t *testing.T) {
	t.Parallel()
	client := redistest.Real(t)
	e := newEdge(t, client, chat.LogID(rand.Text()), 3)
	first := e.join(t, "u0")
	for i := range 5 {
		e.join(t, fmt.Sprint("u", i+1))
	}
	eventually(t, 5*time.Second, "a count without names", func() bool { return names(e.Members(e.room)) == "6" })
	first.mu.Lock()
	defer first.mu.Unlock()
	for _, told := range first.told {
		if strings.HasPrefix(told, "exited") {
			t.Error(told)
		}
	}
}

func TestTypingIsToldToOthersOncePerThreeSeconds(t *testing.T) {
	redistest.Each(t, func(t *testing.T, client redis.UniversalClient) {
		t.Parallel()
		log := chat.LogID(rand.Text())
		one, two := newEdge(t, client, log, 100), newEdge(t, client, log, 100)
		ada := one.join(t, "Ada")
		bob := two.join(t, "Bob")
		eventually(t, 5*time.Second, "Ada hears of Bob", ada.was("entered Bob 2"))
		for range 5 {
			two.Typing(two.room, bob.user)
			one.Typing(one.room, bob.user) // of the same user, on another edge
		}
		eventually(t, 3*time.Second, "Ada sees Bob typing", ada.was("entered Bob 2", "typing Bob 0"))
		time.Sleep(roundEvery)
		if !ada.was("entered Bob 2", "typing Bob 0")() || strings.Contains(strings.Join(bob.told, ","), "typing") {
			t.Error(ada.told, bob.told)
		}
	})
}
