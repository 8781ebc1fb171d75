package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// pages is a log that answers with what it is given, page after page, and then with nothing.
type pages struct{ left [][]byte }

func (p *pages) next() (page roomsapi.Range, err error) {
	if len(p.left) == 0 {
		return page, errNone
	}
	content := p.left[0]
	p.left = p.left[1:]
	if json.Unmarshal(content, &page) != nil {
		return page, errNone
	}
	for i := range page.Entries {
		page.Entries[i].Event = json.RawMessage(fmt.Sprintf(`{"seq":%d}`, page.Entries[i].Seq))
	}
	return page, nil
}

var errNone = chat.Errorf(chat.CodeUnavailable, "no answer")

func (p *pages) Tail(context.Context, chat.RoomID, int, int) (roomsapi.Range, error) { return p.next() }

func (p *pages) Entries(context.Context, chat.RoomID, chat.Seq, int, int) (roomsapi.Range, error) {
	return p.next()
}

func (p *pages) History(context.Context, chat.RoomID, chat.Seq, int) (roomsapi.History, error) {
	return roomsapi.History{}, nil
}

func (*pages) Heads(context.Context) ([]roomsapi.Head, error) { return nil, nil }

// Whatever the rooms service answers, one page a line, no member is handed a run with a hole in it.
func FuzzPages(f *testing.F) {
	f.Fuzz(func(t *testing.T, lines []byte, after int64) {
		h := newFeed(&pages{bytes.Split(lines, []byte("\n"))})
		r, err := h.Open(t.Context(), chat.DefaultTenant, roomsapi.Access{ID: 7, Room: &chat.Room{Slug: "a", Log: "L"}})
		if err != nil {
			return
		}
		defer h.Rooms.Release(r)
		r.Grant(user, roomsapi.Access{ForAll: true})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		cursor := chat.Seq(after)
		var j room.Join
		if after >= 0 && cursor <= chat.MaxSeq { // what a session lets through
			j.After = &cursor
		}
		j.Limit = 50
		s := &socket{}
		err = h.Join(ctx, r, s, user, j, func(snapshot room.Snapshot) func() {
			if snapshot.Recovered {
				noHole(t, snapshot.Events, cursor, snapshot.Cursor)
			}
			return func() { s.joined(snapshot.Cursor) }
		})
		if err != nil {
			return
		}
		head := r.Head()
		_ = h.Fill(ctx, r)
		if r.Head() < head {
			t.Errorf("the head went from %d to %d", head, r.Head())
		}
		if events, next, err := h.Since(ctx, r, user, max(0, cursor), ""); err == nil {
			noHole(t, events, max(0, cursor), next)
		}
	})
}

// noHole fails unless events are those after one seq up to another.
func noHole(t *testing.T, events []json.RawMessage, after, upTo chat.Seq) {
	t.Helper()
	for i, event := range events {
		if want := fmt.Sprintf(`{"seq":%d}`, after+chat.Seq(i)+1); string(event) != want {
			t.Fatalf("%s in place of %s, after %d", event, want, after)
		}
	}
	if after+chat.Seq(len(events)) != upTo {
		t.Errorf("%d events after %d reach %d", len(events), after, upTo)
	}
}
