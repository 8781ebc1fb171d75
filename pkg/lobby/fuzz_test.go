package lobby

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
)

// inOrder is a handler that holds that events come one after the other.
type inOrder struct {
	t  *testing.T
	at chat.Seq
}

func (h *inOrder) HandleLobby(_ context.Context, event Event) {
	if h.at++; event.Seq != h.at {
		h.t.Errorf("event %d after %d", event.Seq, h.at-1)
	}
}

// Whatever stands in a lobby's stream, its follower is told events in the order of their seqs, and
// asks for the rest.
func FuzzEvents(f *testing.F) {
	f.Fuzz(func(t *testing.T, id, text string) {
		messages := []redis.XMessage{
			{ID: "1-0", Values: map[string]any{fieldEvent: `{"seq":1,"kind":"session_ended"}`}},
			{ID: id, Values: map[string]any{fieldEvent: text, "from the future": id}},
			{ID: "3-0", Values: map[string]any{fieldEvent: `{"seq":3,"kind":"from the future"}`}},
		}
		events := decodeRun(messages)
		if len(events) == 0 {
			t.Fatal("the first event is lost")
		}
		for i, event := range events[1:] {
			if event.Seq < 1 || event.Seq > chat.MaxSeq || !strings.HasSuffix(messages[i+1].ID, "-0") {
				t.Fatalf("%q %q: %+v", id, text, event)
			}
			if event.At.Year() > 9998 {
				continue // no service writes such a time, and JSON has no form for the year after
			}
			if content, err := json.Marshal(event); err != nil {
				t.Errorf("%q can't be told on: %v", text, err)
			} else if again := decodeRun([]redis.XMessage{{ID: messages[i+1].ID, Values: map[string]any{fieldEvent: string(content)}}}); len(again) != 1 || again[0].Kind != event.Kind {
				t.Errorf("%q -> %q", text, content)
			}
		}
		follower := NewFollower(nil, nil, "test", 0, &inOrder{t: t}, slog.New(slog.DiscardHandler))
		follower.logID = "log"
		hole := follower.apply(t.Context(), "log", events)
		if ahead := slices.ContainsFunc(events, func(e Event) bool { return e.Seq > follower.at }); hole != ahead {
			t.Errorf("%q %q: told up to %d, a hole is %v", id, text, follower.at, hole)
		}
		follower.apply(t.Context(), "another", events)
	})
}

// However far back a follower wants to look, it is never told of less than it asked for.
func FuzzRequest(f *testing.F) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, content []byte) {
		var request EventsRequest
		if json.Unmarshal(content, &request) != nil {
			return
		}
		since, err := request.Since(now)
		if err != nil {
			if chat.CodeOf(err) != chat.CodeBadRequest {
				t.Error(err)
			}
			return
		}
		if asked := float64(request.MaxAgeMS); !since.IsZero() && (since.After(now) || float64(now.Sub(since).Milliseconds()) < min(asked, 30*24*3600*1000)) {
			t.Errorf("%q: since %v", content, since)
		}
	})
}
