package main

import (
	"net/url"
	"strings"
	"testing"
)

// Who is connected for long is sent elsewhere, which here is back, and misses nothing.
func TestTheOldAreSentElsewhere(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "PARLEY_EDGE_MAX_AGE=1s")
	user := s.people(t)["user"].AccessToken
	socket := signedIn(t, s, user)
	streamed := s.stream(t, user, url.Values{"room": {"general"}, "after": {"0"}}.Encode(), "")
	socket.gets(`{"type":"join","id":1,"room":"general"}`, "joined")
	socket.gets(`{"type":"send","id":2,"room":"general","body":"first","nonce":"1"}`, "sent")
	socket.hears("draining")
	if code := socket.closedWith(); code != 1012 {
		t.Error("old, but closed with", code)
	}
	streamed.wants("message 1", "draining 0", "")
	if !strings.HasPrefix(streamed.id, "general:1,log.general:") {
		t.Errorf("the stream ended without its cursors: %q", streamed.id)
	}
}
