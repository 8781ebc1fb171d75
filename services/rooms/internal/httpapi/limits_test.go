package httpapi

import (
	"fmt"
	"testing"

	"github.com/parley-chat/parley/pkg/limit"
)

// Each call of the public API is limited: what others are told of, by user, and sends by address and
// room besides; reading, by user or by the address of nobody signed in.
func TestEveryCallIsLimited(t *testing.T) {
	few := limit.Rate{PerSecond: 0.01, Burst: 2}
	type call struct{ who, method, path, body string }
	rename, read, send := call{"ada", "PATCH", "/api/rooms/one", `{"name":"Uno"}`}, call{"ada", "GET", "/api/rooms", ""}, call{"ada", "POST", "/api/rooms/one/messages", `{"body":"hi","nonce":"%d"}`}
	const message = "/api/rooms/one/messages/1"
	for name, c := range map[string]struct {
		limits Limits
		calls  []call // the first two use up the limit, the others come too late
		others []call // are not affected
	}{
		"creates": {Limits{Creates: few}, []call{
			{"ada", "POST", "/api/rooms", `{"slug":"n%d","name":"x"}`}, {"ada", "POST", "/api/rooms", `{"slug":"n%d","name":"x"}`}, {"ada", "POST", "/api/rooms", `{"slug":"n%d","name":"x"}`},
		}, []call{{"bob", "POST", "/api/rooms", `{"slug":"n%d","name":"x"}`}, rename}},
		"changes": {Limits{Changes: few}, []call{rename, rename, rename, {"ada", "DELETE", "/api/rooms/one", ""}}, []call{{"staff", "PATCH", "/api/rooms/one", `{"name":"Eins"}`}, read, send}},
		"sends": {Limits{Sends: few}, []call{
			send, send, send, {"ada", "PATCH", message, `{"body":"ho"}`}, {"ada", "DELETE", message, ""},
		}, []call{{"bob", "POST", "/api/rooms/one/messages", `{"body":"hi","nonce":"%d"}`}, rename, read}},
		"sends of an address": {Limits{SendsAddress: few}, []call{
			send, {"bob", "POST", "/api/rooms/one/messages", `{"body":"hi","nonce":"%d"}`}, {"gil", "POST", "/api/rooms/two/messages", `{"body":"hi","nonce":"%d"}`},
		}, []call{rename, read}},
		"sends to a room": {Limits{SendsRoom: few}, []call{
			send, {"bob", "POST", "/api/rooms/one/messages", `{"body":"hi","nonce":"%d"}`}, {"gil", "POST", "/api/rooms/one/messages", `{"body":"hi","nonce":"%d"}`}, {"staff", "DELETE", message, ""},
		}, []call{{"gil", "POST", "/api/rooms/two/messages", `{"body":"hi","nonce":"%d"}`}, rename, read}},
		"reads": {Limits{Reads: few}, []call{
			read, read, read, {"ada", "GET", "/api/rooms?q=x", ""}, {"ada", "GET", "/api/rooms/one", ""}, {"ada", "GET", "/api/rooms/one/messages", ""},
		}, []call{{"bob", "GET", "/api/rooms", ""}, {"", "GET", "/api/rooms", ""}, rename, send}},
		"reads of nobody signed in": {Limits{ReadsAddress: few}, []call{
			{"", "GET", "/api/rooms", ""}, {"", "GET", "/api/rooms/one", ""}, {"", "GET", "/api/rooms/one/messages", ""}, {"", "GET", "/api/rooms?q=x", ""},
		}, []call{read}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prepare, s := newServers(t, c.limits)
			for _, slug := range []string{"one", "two"} {
				prepare.want(201, "ada", "POST", "/api/rooms", `{"slug":"`+slug+`","name":"x","allow_guests":true}`)
			}
			try := func(n int, c call) (int, map[string]any) {
				body := c.body
				if c.method == "POST" {
					body = fmt.Sprintf(body, n)
				}
				status, text := s.call(c.who, c.method, c.path, body)
				return status, parse(t, text)
			}
			for n, call := range c.calls {
				status, answer := try(n, call)
				if n < 2 && status >= 300 || n >= 2 && status != 429 {
					t.Errorf("call %d, %+v: %d %v", n, call, status, answer)
				}
				if e, ok := answer["error"].(map[string]any); status == 429 && (!ok || e["code"] != "rate_limited" || e["retry_after_ms"] == nil) {
					t.Errorf("%+v: %v", call, answer)
				}
			}
			for n, call := range c.others {
				if status, answer := try(n+100, call); status >= 300 {
					t.Errorf("another, %+v: %d %v", call, status, answer)
				}
			}
		})
	}
}

// A room that is used up answers those who may not know of it as none does.
func TestALimitTellsOfNoRoom(t *testing.T) {
	s := newServer(t, Limits{SendsRoom: limit.Rate{PerSecond: 0.01, Burst: 1}})
	s.want(201, "staff", "POST", "/api/rooms", `{"slug":"secret","name":"Secret","staff_only":true}`)
	for range 3 {
		s.want(404, "ada", "POST", "/api/rooms/secret/messages", `{"body":"hi","nonce":"n"}`)
	}
	s.want(201, "staff", "POST", "/api/rooms/secret/messages", `{"body":"hush","nonce":"n"}`)
	s.want(429, "staff", "POST", "/api/rooms/secret/messages", `{"body":"hush","nonce":"m"}`)
	s.want(404, "ada", "POST", "/api/rooms/secret/messages", `{"body":"hi","nonce":"n"}`)
}
