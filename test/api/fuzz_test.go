package api_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"unicode/utf8"

	"github.com/parley-chat/parley/test/servertest"
)

// A message is decoded by the edge, from a frame, and by rooms, from a request: whatever is sent, both
// take it as the same message or refuse it for the same reason. So with the cursors that both read.
func FuzzBothTransports(f *testing.F) {
	s := servertest.Serve(f, f.TempDir(), "PARLEY_LIMIT_SENDS=0", "PARLEY_LIMIT_SENDS_HTTP=0", "PARLEY_LIMIT_ROOM_CHANGE=0", "PARLEY_LIMIT_SENDS_HTTP_ADDRESS=0", "PARLEY_LIMIT_SENDS_HTTP_ROOM=0", "PARLEY_LIMIT_READS=0", "PARLEY_LIMIT_READS_ADDRESS=0", "PARLEY_LIMIT_USER_CHANGE=0", "PARLEY_LIMIT_FRAMES=0", "PARLEY_LIMIT_POLLS=0")
	token := s.People(f)["user"].AccessToken
	socket := servertest.SignedIn(f, s, token)
	socket.Write(`{"type":"join","id":1,"room":"general"}`)
	socket.Answer(1)
	command := 1
	f.Fuzz(func(t *testing.T, body, nonce, replyTo, after string) {
		socket.T = t
		path := "/api/rooms/general/"
		messages := s.Call(t, "GET", path+"messages?after="+url.QueryEscape(after), token, "")
		events := s.Call(t, "GET", path+"events?wait=0&after="+url.QueryEscape(after), token, "")
		if (messages.Status == 400) != (events.Status == 400) {
			t.Errorf("after %q: rooms says %d %s, the edge %d %s", after, messages.Status, messages.Body, events.Status, events.Body)
		}
		for _, value := range []string{body, nonce, replyTo} {
			if !json.Valid([]byte(value)) || !utf8.ValidString(value) {
				return // another target's business
			}
		}
		fields := fmt.Sprintf(`"body":%s,"nonce":%s,"reply_to":%s`, body, nonce, replyTo)
		byHTTP := s.Call(t, "POST", path+"messages", token, "{"+fields+"}")
		command++
		socket.Write(fmt.Sprintf(`{"type":"send","id":%d,"room":"general",%s}`, command, fields))
		bySocket := socket.Answer(command)
		if byHTTP.Status != 201 {
			if bySocket["code"] != byHTTP.Code() {
				t.Errorf("%s: rooms says %d %s, the edge %v", fields, byHTTP.Status, byHTTP.Body, bySocket)
			}
			return
		}
		var message struct {
			ID   float64 `json:"id"`
			Body string  `json:"body"`
		}
		var sent string
		if err := json.Unmarshal([]byte(byHTTP.Body), &message); err != nil {
			t.Fatal(err)
		}
		if bySocket["type"] != "sent" || bySocket["message"] != message.ID {
			t.Errorf("%s: rooms made message %v of it, the edge says %v", fields, message.ID, bySocket)
		}
		if err := json.Unmarshal([]byte(body), &sent); err != nil || sent != message.Body {
			t.Errorf("%s came back as %q", fields, message.Body)
		}
	})
}
