package hub

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// sink is a member that keeps nothing.
type sink struct{ bytes int }

func (s *sink) Deliver(_ *Room, frames []byte, _ time.Time) { s.bytes += len(frames) }
func (*sink) TakenOut(*Room, []byte)                        {}
func (*sink) User() chat.User                               { return chat.User{} }

// A batch of eight entries goes to a hundred members.
func BenchmarkFanOut(b *testing.B) {
	l := &log{}
	room := open(b, newHub(l))
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
