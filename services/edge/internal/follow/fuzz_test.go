package follow

import (
	"strconv"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/parley-chat/parley/pkg/chat"
)

// What a poll or a stream is asked for in its query, and what a browser comes back with, is cursors of
// rooms that were asked for, or is refused.
func FuzzQuery(f *testing.F) {
	app := fiber.New(fiber.Config{Immutable: true})
	f.Fuzz(func(t *testing.T, query, lastEventID, after, wait string) {
		if seq, err := cursor(after); err == nil {
			n, bad := strconv.ParseUint(after, 10, 53)
			if bad != nil && after[0] != '+' && after[0] != '-' || seq < 0 || seq > chat.MaxSeq || bad == nil && chat.Seq(n) != seq {
				t.Errorf("after %q is %d", after, seq)
			}
		} else if chat.CodeOf(err) != chat.CodeBadRequest {
			t.Error(err)
		}
		if d, err := waiting(wait); err == nil && (d < 0 || d > maxWait) || err != nil && chat.CodeOf(err) != chat.CodeBadRequest {
			t.Errorf("wait %q is %v, %v", wait, d, err)
		}
		raw := &fasthttp.RequestCtx{}
		raw.Request.SetRequestURI("/sse?" + query)
		raw.Request.Header.Set("Last-Event-ID", lastEventID)
		c := app.AcquireCtx(raw)
		defer app.ReleaseCtx(c)
		followers, err := roomsAsked(c)
		if err != nil {
			if chat.CodeOf(err) != chat.CodeBadRequest || followers != nil {
				t.Errorf("%q: %v", query, err)
			}
			return
		}
		seen := map[chat.Slug]bool{}
		for _, follower := range followers {
			if seen[follower.slug] || follower.after < 0 || follower.after > chat.MaxSeq {
				t.Errorf("%q %q: %+v", query, lastEventID, follower)
			}
			seen[follower.slug] = true
		}
		if len(followers) == 0 || len(followers) > maxStreamRooms {
			t.Errorf("%q: %d rooms", query, len(followers))
		}
		for _, follower := range followers {
			if !follower.slug.Valid() {
				return // refused when it is entered
			}
			follower.after = min(follower.after+1, chat.MaxSeq) // it has been told more since
		}
		// What we would tell the browser to come back with is what it then asks for.
		raw.Request.Header.Set("Last-Event-ID", eventID(followers))
		again, err := roomsAsked(c)
		if err != nil || eventID(again) != eventID(followers) {
			t.Errorf("%q came back as %q, %v", eventID(followers), eventID(again), err)
		}
	})
}
