package stream_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/redistest"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
)

// pod runs a publisher until stop, as a pod of rooms does.
func pod(t *testing.T, client *redistest.Bubble) (p *stream.Publisher, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p = stream.NewPublisher(client, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	done := make(chan error)
	go func() { done <- p.Run(ctx, func() {}) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return p, stop
}

// A body that was deleted does not stay in Redis, whatever happens to Redis and to the pod that deleted it.
func TestADeletedBodyDoesNotStayInRedis(t *testing.T) {
	room, long := newRoom(), 11*time.Minute
	say := func(p *stream.Publisher, seq int, body string) {
		p.Publish(room.Tenant, room.Log, []roomsapi.Entry{entry(chat.Seq(seq), body)})
		synctest.Wait()
	}
	for name, c := range map[string]struct {
		after func(t *testing.T, client *redistest.Bubble, one, other *stream.Publisher, die func()) // the drop that failed
		want  string                                                                                 // in the stream
	}{
		"Redis is back": {func(t *testing.T, client *redistest.Bubble, _, _ *stream.Publisher, _ func()) {
			client.Fail(false)
			time.Sleep(2 * time.Second)
		}, ""},
		"Redis is back, and the next entry comes at once": {func(t *testing.T, client *redistest.Bubble, one, _ *stream.Publisher, _ func()) {
			client.Fail(false)
			say(one, 9, "x")
		}, "9"},
		"the pod dies, and nobody writes": {func(t *testing.T, client *redistest.Bubble, _, _ *stream.Publisher, die func()) {
			die()
			client.Fail(false)
			time.Sleep(long)
		}, ""},
		"the pod dies, and another one has seen it too": {func(t *testing.T, client *redistest.Bubble, _, other *stream.Publisher, die func()) {
			die()
			say(other, 8, "x")
			client.Fail(false)
			say(other, 9, "x")
		}, "9"},
		"the pod dies, and another one has seen nothing": {func(t *testing.T, client *redistest.Bubble, _, other *stream.Publisher, die func()) {
			die()
			client.Fail(false)
			for seq := 8; seq < 100; seq++ { // of a room where somebody writes all the time
				say(other, seq, "x")
				time.Sleep(long / 90)
			}
		}, ""},
		"the pod dies, and a new one starts": {func(t *testing.T, client *redistest.Bubble, _, _ *stream.Publisher, die func()) {
			die()
			client.Fail(false)
			another, stop := pod(t, client)
			say(another, 9, "x")
			stop()
		}, "9"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := redistest.InBubble(t)
				one, die := pod(t, client)
				other, stop := pod(t, client)
				say(other, 1, "x")
				say(one, 2, "x")
				say(other, 3, "x")
				say(one, 4, "secret")
				client.Fail(true)
				one.Drop(room.Tenant, room.Log)
				say(one, 5, "deleted")
				var once bool
				c.after(t, client, one, other, func() { die(); once = true })
				messages := client.XRange(t.Context(), room.Key("room"), "-", "+").Val()
				var ids []string
				for _, m := range messages {
					ids = append(ids, strings.TrimSuffix(m.ID, "-0"))
					if text, _ := m.Values["e"].(string); strings.Contains(text, "secret") {
						t.Error("the deleted body is still there")
					}
				}
				if got := strings.Join(ids, " "); got != c.want && c.want != "" {
					t.Error("the stream holds", got)
				}
				if stop(); !once {
					die()
				}
			})
		})
	}
}
