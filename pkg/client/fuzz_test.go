package client

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
)

// contiguous is a room's handler that holds what a client applies to have no hole and nothing twice.
type contiguous struct {
	t      *testing.T
	cursor chat.Seq
	left   bool
}

func (c *contiguous) Joined(joined Joined) {
	if c.left {
		c.t.Error("joined after it was left")
	}
	if !joined.Recovered || c.cursor < 0 {
		c.cursor = joined.Cursor
	}
}

func (c *contiguous) Entry(event wire.Event) {
	if c.cursor++; event.Seq != c.cursor || c.left {
		c.t.Errorf("entry %d after %d, left %v", event.Seq, c.cursor-1, c.left)
	}
}
func (c *contiguous) Signal(string, []byte) {}
func (c *contiguous) Left(error)            { c.left = true }

// A server may send anything, one frame a line: the client applies entries without a hole, or ends
// the connection; it never waits, and never forgets who waits for an answer.
func FuzzFrames(f *testing.F) {
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		for err == nil {
			_, _, err = conn.ReadMessage()
		}
	}))
	f.Cleanup(sink.Close)
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(sink.URL, "http"), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = conn.Close() })
	f.Fuzz(func(t *testing.T, from int64, lines []byte) {
		s, handler := NewSocket(Options{}), &contiguous{t: t, cursor: -1}
		l := &link{conn: conn, wake: make(chan struct{}, 1), closed: make(chan struct{}), rejoining: map[*room]bool{}, waiters: map[int64]waiter{}, rejoinAt: map[*room]time.Time{}}
		var cursor *Cursor
		if from >= 0 {
			cursor, handler.cursor = &Cursor{Log: "log", Seq: chat.Seq(from)}, chat.Seq(from)
		}
		r := newRoom("a", 50, cursor, handler)
		s.rooms["a"], s.link = r, l
		s.sendJoin(l, r) // command 1
		answers := make(chan answer, 1)
		l.expect(7, waiter{answer: answers})
		for frame := range bytes.SplitSeq(lines, []byte("\n")) {
			gap := r.joined && r.joinID == 0 && opensGap(frame, r.cursor.Seq)
			if s.handle(l, frame) != nil {
				break // the connection ends
			}
			if gap && r.joinID == 0 {
				t.Fatalf("%q: what was missed was not asked for", frame)
			}
			if r.joined && r.cursor == nil || r.joined && r.err != nil {
				t.Fatalf("%q: joined without a cursor, or after an error", frame)
			}
		}
		if _, waits := l.takeWaiter(7); !waits && len(answers) != 1 {
			t.Error("an answer was lost")
		}
		if r.cursor != nil && r.everJoined && !handler.left && r.cursor.Seq != handler.cursor {
			t.Errorf("the cursor is %d, the handler was called up to %d", r.cursor.Seq, handler.cursor)
		}
	})
}

// opensGap says whether frame is an entry of the room that can't come next.
func opensGap(frame []byte, cursor chat.Seq) bool {
	var e struct {
		ID   *int64    `json:"id"`
		Room chat.Slug `json:"room"`
		Seq  chat.Seq  `json:"seq"`
	}
	return json.Unmarshal(frame, &e) == nil && e.ID == nil && e.Room == "a" && e.Seq > 0 && e.Seq-1 > cursor
}

// Whatever a server or a proxy before it answers to a call or a handshake is an error with a code.
func FuzzRefusal(f *testing.F) {
	f.Fuzz(func(t *testing.T, status string, content []byte) {
		err := refusal(status, content)
		if err == nil || chat.CodeOf(err) == "" || chat.Public(err).RetryAfter < 0 {
			t.Errorf("%q %q: %v", status, content, err)
		}
	})
}
