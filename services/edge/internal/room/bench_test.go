package room

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// sink is a member that keeps nothing.
type sink struct{ bytes int }

func (s *sink) Deliver(_ *Room, frames []byte, _ time.Time) { s.bytes += len(frames) }
func (*sink) TakenOut(*Room, []byte)                        {}
func (*sink) Reconnect()                                    {}
func (*sink) User() chat.User                               { return chat.User{} }
func (*sink) Reader() Reader                                { return Reader{} }

// message is an entry of a room's log.
func message(id chat.Seq, body string) roomsapi.Entry {
	event := fmt.Sprintf(`{"type":"message","room":"a","seq":%d,"message":{"id":%d,"body":%q}}`, id, id, body)
	return roomsapi.Entry{Seq: id, Kind: "message", Message: id, Event: json.RawMessage(event)}
}

// open makes a room whose log is empty.
func open(t testing.TB) *Room {
	t.Helper()
	r, _ := NewRooms(prometheus.NewRegistry()).Use(chat.DefaultTenant, roomsapi.Access{ID: 7, Room: &chat.Room{Slug: "a", Log: "L"}}, func() any { return nil })
	r.Load(roomsapi.Range{Log: "L", Floor: 1}, Newest{})
	return r
}

// A batch of eight entries goes to a hundred members.
func BenchmarkFanOut(b *testing.B) {
	room := open(b)
	for range 100 {
		room.members[&sink{}] = struct{}{}
	}
	event := message(1, strings.Repeat("x", 100)).Event
	entries := make([]roomsapi.Entry, 8)
	var seq chat.Seq
	b.ReportAllocs()
	for b.Loop() {
		for i := range entries {
			seq++
			entries[i] = roomsapi.Entry{Seq: seq, Kind: "message", Message: seq, AtMS: 1, Event: event}
		}
		room.Deliver(entries)
	}
}
