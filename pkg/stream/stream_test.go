package stream_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
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
)

func newRoom() stream.Room { return stream.Room{Tenant: "test", Log: chat.LogID(rand.Text())} }

func entry(seq chat.Seq, body string) roomsapi.Entry {
	event, _ := json.Marshal(map[string]any{"type": "message", "seq": seq, "body": body})
	return roomsapi.Entry{Seq: seq, Kind: "message", Message: seq, Event: event}
}

// running runs a component for the time of the test.
func running(t *testing.T, run func(context.Context, func()) error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	ready := make(chan struct{})
	go func() { done <- run(ctx, func() { close(ready) }) }()
	<-ready
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func publisher(t *testing.T, client redis.UniversalClient) *stream.Publisher {
	t.Helper()
	p := stream.NewPublisher(client, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	running(t, p.Run)
	return p
}

func seqs(entries []roomsapi.Entry) string {
	var s []string
	for _, e := range entries {
		s = append(s, fmt.Sprint(e.Seq))
	}
	return strings.Join(s, " ")
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

// subscribe subscribes a room's bell until that is confirmed, which may take more than one try on a slow machine.
func subscribe(t *testing.T, bells *stream.Notifications, room stream.Room) {
	t.Helper()
	eventually(t, "a subscription", func() bool {
		err := bells.Subscribe(t.Context(), room)
		if err != nil {
			bells.Unsubscribe(t.Context(), room)
		}
		return err == nil
	})
}

func TestStreams(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, client redis.UniversalClient) {
		p, r := publisher(t, client), stream.NewReader(client)
		read := func(room stream.Room, after chat.Seq) []roomsapi.Entry {
			t.Helper()
			news, err := r.Read(t.Context(), []stream.Position{{Room: room, After: after}, {Room: newRoom(), After: 0}})
			if err != nil {
				t.Fatal(err)
			}
			return news[room]
		}
		t.Run("entries come back whole, from any seq", func(t *testing.T) {
			room := newRoom()
			deleted := roomsapi.Entry{Seq: 3, Kind: "deleted", Message: 1, Event: json.RawMessage(`{"seq":3}`), State: json.RawMessage(`{"id":1}`), AtMS: 1234}
			unknown := roomsapi.Entry{Seq: 4, Kind: "from the future", Event: json.RawMessage(`{"seq":4}`)}
			sent := []roomsapi.Entry{entry(1, "a"), entry(2, "b"), deleted, unknown}
			p.Publish(room.Tenant, room.Log, sent)
			eventually(t, "four entries", func() bool { return len(read(room, 0)) == 4 })
			got, want := fmt.Sprintf("%+v", read(room, 0)), fmt.Sprintf("%+v", sent)
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if got := seqs(read(room, 2)); got != "3 4" {
				t.Error(got)
			}
		})
		t.Run("what another pod has overtaken is refused", func(t *testing.T) {
			room := newRoom()
			p.Publish(room.Tenant, room.Log, []roomsapi.Entry{entry(2, "b")})
			p.Publish(room.Tenant, room.Log, []roomsapi.Entry{entry(1, "a"), entry(3, "c")})
			eventually(t, "the last entry", func() bool { return strings.HasSuffix(seqs(read(room, 0)), "3") })
			if got := seqs(read(room, 0)); got != "2 3" {
				t.Error(got)
			}
		})
		t.Run("a run ends before an entry too large to be carried", func(t *testing.T) {
			room := newRoom()
			p.Publish(room.Tenant, room.Log, []roomsapi.Entry{entry(1, "a"), entry(2, strings.Repeat("x", 16<<10)), entry(3, "c")})
			eventually(t, "the last entry", func() bool { return seqs(read(room, 2)) == "3" })
			if got := seqs(read(room, 0)); got != "1" {
				t.Error(got)
			}
		})
		t.Run("a dropped stream is gone", func(t *testing.T) {
			room := newRoom()
			p.Publish(room.Tenant, room.Log, []roomsapi.Entry{entry(1, "secret"), entry(2, "b")})
			p.Drop(room.Tenant, room.Log)
			p.Publish(room.Tenant, room.Log, []roomsapi.Entry{entry(3, "c")})
			eventually(t, "the entry after", func() bool { return seqs(read(room, 0)) == "3" })
			if ttl := client.TTL(t.Context(), room.Key("room")).Val(); ttl <= 0 {
				t.Error("an idle room's stream never ends:", ttl)
			}
		})
	})
}

// ear remembers what it hears.
type ear struct {
	mu    sync.Mutex
	rang  map[stream.Room][]chat.Seq
	other []string
}

func (e *ear) Notified(room stream.Room, seq chat.Seq) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rang[room] = append(e.rang[room], seq)
}

func (e *ear) Signalled(_ stream.Room, kind byte, payload string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.other = append(e.other, string(kind)+payload)
}

func (e *ear) heard(room stream.Room, seq chat.Seq) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Contains(e.rang[room], seq)
}

func (e *ear) signals() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.other, " ")
}

func TestBells(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, client redis.UniversalClient) {
		p := publisher(t, client)
		hears := &ear{rang: map[stream.Room][]chat.Seq{}}
		bells := stream.NewNotifications(client, hears, slog.New(slog.DiscardHandler))
		running(t, bells.Run)
		eventually(t, "a connection", bells.Healthy)

		rooms := make([]stream.Room, 50)
		var subscribing sync.WaitGroup
		for i := range rooms {
			rooms[i] = newRoom()
			subscribing.Go(func() {
				subscribe(t, bells, rooms[i])
			})
		}
		subscribing.Wait()
		for i, room := range rooms {
			p.Publish(room.Tenant, room.Log, []roomsapi.Entry{entry(1, "a"), entry(chat.Seq(i+2), "b")})
			eventually(t, "the bell with the highest seq", func() bool { return hears.heard(room, chat.Seq(i+2)) })
		}

		if err := stream.Send(t.Context(), client, []stream.Signal{{Room: rooms[0], Kind: stream.SignalTyping, Payload: `{"id":"u"}`}}); err != nil {
			t.Error(err)
		}
		eventually(t, "a signal", func() bool { return hears.signals() == `t{"id":"u"}` })

		bells.Unsubscribe(t.Context(), rooms[1])
		bells.Renew()
		eventually(t, "a new connection", func() bool {
			p.Publish(rooms[1].Tenant, rooms[1].Log, []roomsapi.Entry{entry(98, "x")})
			p.Publish(rooms[0].Tenant, rooms[0].Log, []roomsapi.Entry{entry(99, "x")})
			return bells.Healthy() && hears.heard(rooms[0], 99) && hears.heard(rooms[2], 0)
		})
		if hears.heard(rooms[1], 98) {
			t.Error("heard a bell after unsubscribing")
		}
	})
}

func (e *ear) times(room stream.Room, seq chat.Seq) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, rang := range e.rang[room] {
		if rang == seq {
			n++
		}
	}
	return n
}

// A caller who has waited for too long breaks nothing for the other rooms.
func TestACallerWhoseTimeIsOverBreaksNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hears := &ear{rang: map[stream.Room][]chat.Seq{}}
		bells := stream.NewNotifications(redistest.InBubble(t), hears, slog.New(slog.DiscardHandler))
		running(t, bells.Run)
		eventually(t, "a connection", bells.Healthy)
		room, other := newRoom(), newRoom()
		subscribe(t, bells, room)
		over, cancel := context.WithDeadline(t.Context(), time.Now())
		defer cancel()
		_ = bells.Subscribe(over, other)
		bells.Unsubscribe(over, other)
		time.Sleep(time.Minute)
		if again := hears.times(room, 0) - 1; again != 0 {
			t.Error("the connection of all rooms was renewed", again, "times")
		}
	})
}
