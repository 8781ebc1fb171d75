package api_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/parley-chat/parley/test/servertest"
)

// Who is connected for long is sent elsewhere, which here is back, and misses nothing.
func TestTheOldAreSentElsewhere(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), "PARLEY_EDGE_MAX_AGE=1s")
	user := s.People(t)["user"].AccessToken
	socket := servertest.SignedIn(t, s, user)
	streamed := stream(t, s, user, url.Values{"room": {"general"}, "after": {"0"}}.Encode(), "")
	socket.Gets(`{"type":"join","id":1,"room":"general"}`, "joined")
	socket.Gets(`{"type":"send","id":2,"room":"general","body":"first","nonce":"1"}`, "sent")
	socket.Receives("draining")
	if code := socket.ClosedWith(); code != 1012 {
		t.Error("old, but closed with", code)
	}
	streamed.wants("message 1", "draining 0", "")
	if !strings.HasPrefix(streamed.id, "general:1,log.general:") {
		t.Errorf("the stream ended without its cursors: %q", streamed.id)
	}
}
