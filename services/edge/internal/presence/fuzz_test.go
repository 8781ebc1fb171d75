package presence

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/redistest"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// Whatever stands in a room's registry, those are there whom an edge that is alive has named, each
// under their own id; what is not understood is cleared away and in nobody's way.
func FuzzRegistry(f *testing.F) {
	client := redistest.Embedded(f)
	registry := NewRegistry(client, "me", 100)
	room := stream.Room{Tenant: "test", Log: "l"}
	if err := registry.Lease(f.Context(), time.Hour); err != nil {
		f.Fatal(err)
	}
	ada := chat.User{ID: "ada", Name: "Ada", Kind: chat.KindUser}
	f.Fuzz(func(t *testing.T, field, content string) {
		ctx := context.WithoutCancel(t.Context())
		client.Del(ctx, room.Key("members"))
		client.HSet(ctx, room.Key("members"), field, content)
		if err := registry.write(ctx, []change{{room: room, here: []chat.User{ada}}}); err != nil {
			t.Fatal(err)
		}
		states, err := registry.read(ctx, []stream.Room{room})
		if err != nil || len(states) != 1 {
			t.Fatal(err)
		}
		if states[0].users["ada"] != ada || states[0].count != len(states[0].users) {
			t.Fatalf("%q %q: %+v", field, content, states[0])
		}
		for id, user := range states[0].users {
			if id != user.ID || id == "" || id != "ada" && field != "me/"+string(id) {
				t.Errorf("%q %q: %q is %+v", field, content, id, user)
			}
		}
	})
}

// What rides on a room's bell is told to its members in form, or not at all.
func FuzzSignal(f *testing.F) {
	client := redistest.Embedded(f)
	quiet := slog.New(slog.DiscardHandler)
	f.Fuzz(func(t *testing.T, kind byte, payload string) {
		rooms, r := newRooms("l")
		p := New(true, NewRegistry(client, "me", 100), client, rooms, quiet, prometheus.NewRegistry())
		v := &listener{}
		p.Enter(t.Context(), r, v.User())
		enter(t, r, v)
		p.Signalled(stream.Room{Tenant: "test", Log: "another"}, kind, payload)
		if len(v.frames) != 0 {
			t.Fatal("heard another room's signal")
		}
		p.Signalled(r.Key, kind, payload)
		p.Signalled(r.Key, kind, payload)
		if len(v.frames) > 1 {
			t.Errorf("told %d times at once", len(v.frames))
		}
		for _, frame := range v.frames {
			var told struct {
				Type string      `json:"type"`
				Room chat.Slug   `json:"room"`
				User chat.Author `json:"user"`
			}
			if err := json.Unmarshal([]byte(frame[strings.IndexByte(frame, '{'):]), &told); err != nil || told.Type != "typing" || told.Room != "a" || told.User.ID == "" || kind != stream.SignalTyping {
				t.Errorf("%q %q: told %q, %v", kind, payload, frame, err)
			}
		}
	})
}

// listener is a member that keeps what it is told.
type listener struct{ frames []string }

func (l *listener) Deliver(_ *room.Room, frames []byte, _ time.Time) {
	l.frames = append(l.frames, string(frames))
}
func (*listener) TakenOut(*room.Room, []byte) {}
func (*listener) Reconnect()                  {}
func (*listener) User() chat.User             { return chat.User{ID: "listener"} }
func (*listener) Reader() room.Reader         { return room.Reader{} }
