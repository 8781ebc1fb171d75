package api_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/parley-chat/parley/test/contract"
	"github.com/parley-chat/parley/test/localcluster"
	"github.com/parley-chat/parley/test/servertest"
)

// internalOccurs takes tables away under a running server.
func internalOccurs(t *testing.T) *contract.Traffic {
	data := t.TempDir()
	s := servertest.Serve(t, data, localcluster.WithoutLimits()...)
	a, who := ask(t, s), s.People(t)
	staff := who["staff"].AccessToken
	a.gets("createRoom 201", staff, `{"slug":"side","name":"Side"}`)
	a.gets("sendMessage 201 side", staff, `{"body":"x","nonce":"1"}`)
	socket := servertest.SignedIn(t, s, staff)
	socket.Gets(`{"type":"join","id":1,"room":"side"}`, "joined")

	servertest.Execute(t, data, "rooms.db", `ALTER TABLE room_nonces RENAME TO gone`)
	socket.Gets(`{"type":"send","id":2,"room":"side","body":"x","nonce":"2"}`, "unavailable")
	socket.Gets(`{"type":"edit","id":3,"room":"side","message":1,"body":"x","nonce":"3"}`, "unavailable")
	socket.Gets(`{"type":"delete","id":4,"room":"side","message":1,"nonce":"4"}`, "unavailable")
	servertest.Execute(t, data, "rooms.db", `ALTER TABLE room_log RENAME TO gone_too`)
	socket.Gets(`{"type":"history","id":5,"room":"side"}`, "internal")
	servertest.Execute(t, data, "rooms.db", `ALTER TABLE rooms RENAME TO gone_as_well`)
	socket.Gets(`{"type":"join","id":6,"room":"general"}`, "internal")
	servertest.Execute(t, data, "auth.db", `ALTER TABLE auth_sessions RENAME TO gone`)
	for operation := range strings.FieldsSeq(meets["500"]) {
		body := a.example(operation)
		switch operation {
		case "logIn":
			body = `{"username":` + servertest.Quoted(servertest.AdminName) + `,"password":` + servertest.Quoted(servertest.AdminPassword) + `}`
		case "refresh":
			body = `{"refresh_token":` + servertest.Quoted(who["user"].RefreshToken) + `}`
		}
		a.gets(operation+" 500 "+usual(operation), staff, body)
	}
	return s.Traffic
}

// lostContactOccurs takes away what the edge hears of rooms, and waits until it goes by it no longer.
func lostContactOccurs(t *testing.T) *contract.Traffic {
	data := t.TempDir()
	s := servertest.Serve(t, data, append([]string{"PARLEY_GRACE=1s"}, localcluster.WithoutLimits()...)...)
	a, staff := ask(t, s), s.People(t)["staff"].AccessToken
	socket := servertest.SignedIn(t, s, staff)
	a.gets("createRoom 201", staff, `{"slug":"last","name":"Last"}`)
	socket.Receives("room_created") // the edge has handled the lobby so far: nothing that it has granted is asked about again
	socket.Gets(`{"type":"join","id":1,"room":"general"}`, "joined")
	servertest.Execute(t, data, "rooms.db", `ALTER TABLE rooms_lobby RENAME TO gone`)
	for deadline := time.Now().Add(time.Minute); a.Call(t, http.MethodGet, "/api/rooms/general/events?wait=0", staff, "").Status != http.StatusServiceUnavailable; servertest.Pause(t, 100*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the edge goes on without contact")
		}
	}
	socket.Gets(`{"type":"history","id":2,"room":"general"}`, "unavailable")
	socket.Gets(`{"type":"join","id":3,"room":"general"}`, "unavailable")
	return s.Traffic
}

// talkOccurs has people talk, on sockets and in a stream.
func talkOccurs(t *testing.T) *contract.Traffic {
	s := servertest.Serve(t, t.TempDir(), append([]string{"PARLEY_DRAIN_SPREAD=400ms"}, localcluster.WithoutLimits()...)...)
	a, who := ask(t, s), s.People(t)
	staff := who["staff"].AccessToken
	user, guest := servertest.SignedIn(t, s, who["user"].AccessToken), servertest.SignedIn(t, s, who["guest"].AccessToken)
	user.Gets(`{"type":"auth","id":1,"token":`+servertest.Quoted(who["user"].AccessToken)+`}`, "authed")
	a.gets("createRoom 201", staff, `{"slug":"side","name":"Side","allow_guests":true}`)
	guest.Receives("room_created")
	user.Gets(`{"type":"join","id":2,"room":"side"}`, "joined")
	guest.Gets(`{"type":"join","id":2,"room":"side","limit":5}`, "joined")
	user.Receives("entered")
	user.Gets(`{"type":"members","id":3,"room":"side"}`, "members")
	guest.Write(`{"type":"typing","room":"side"}`)
	user.Receives("typing")

	guest.Gets(`{"type":"send","id":3,"room":"side","body":"one","nonce":"1"}`, "sent")
	guest.Gets(`{"type":"send","id":4,"room":"side","body":"two","nonce":"2","reply_to":1}`, "sent")
	guest.Gets(`{"type":"edit","id":5,"room":"side","message":1,"body":"eins","nonce":"3"}`, "ok")
	guest.Gets(`{"type":"delete","id":6,"room":"side","message":2}`, "ok")
	a.gets("changeRoom 200 side", staff, `{"name":"Aside"}`)
	user.Receives("message", "edited", "deleted", "notice", "room_updated")
	user.Gets(`{"type":"history","id":4,"room":"side","limit":10}`, "history")
	if again := user.Gets(`{"type":"join","id":5,"room":"side","after":0}`, "joined"); again["recovered"] != true {
		t.Error("not recovered:", again)
	}
	if empty := user.Gets(`{"type":"join","id":6,"room":"general"}`, "joined"); empty["messages"] == nil {
		t.Error("an empty room:", empty)
	}
	user.Gets(`{"type":"leave","id":7,"room":"side"}`, "left")
	guest.Receives("exited")

	streamed := stream(t, s, who["user"].AccessToken, "room=side&after=0&room=general&after=0", "")
	streamed.wants("message 1", "message 2", "edited 3", "deleted 4", "notice 5")
	stream(t, s, who["user"].AccessToken, "room=side&after=99", "").wants("joined 0")
	stream(t, s, who["user"].AccessToken, "room=general&after=99", "").wants("joined 0") // of an empty room
	a.gets("changeRoom 200 side", staff, `{"allow_guests":false}`)
	guest.Receives("kicked", "room_deleted")
	a.gets("deleteRoom 204 side", staff, "")
	streamed.wants("room_deleted 0")
	ended := stream(t, s, who["guest"].AccessToken, "room=general&after=0", "")
	a.gets("logOut 204", who["guest"].AccessToken, "")
	ended.wants("error 0", "")
	if code := guest.ClosedWith(); code != 4401 {
		t.Error("signed out, but closed with", code)
	}

	go s.Stop()
	user.Receives("draining")
	if code := user.ClosedWith(); code != 1012 {
		t.Error("drained, but closed with", code)
	}
	streamed.wants("draining 0", "")
	return s.Traffic
}

// refusalsOccur sends each command so that it is refused, for each reason that there is.
func refusalsOccur(t *testing.T) *contract.Traffic {
	s := servertest.Serve(t, t.TempDir(), append([]string{"PARLEY_EDGE_ROOMS=1"}, localcluster.WithoutLimits()...)...)
	a, who := ask(t, s), s.People(t)
	early, refused := servertest.DialRaw(t, s)
	if refused != 0 {
		t.Fatal(refused)
	}
	socket := servertest.SignedIn(t, s, who["user"].AccessToken)
	for i, kind := range a.documents.Commands() {
		if kind != "auth" {
			early.Gets(fmt.Sprintf(`{"type":%q,"id":%d,"room":"general"}`, kind, i), "unauthenticated")
		}
		socket.Gets(fmt.Sprintf(`{"type":%q,"id":%d,"room":5,"token":5}`, kind, i), "bad_request")
		if kind != "auth" && kind != "join" && kind != "leave" {
			socket.Gets(fmt.Sprintf(`{"type":%q,"id":%d,"room":"general","body":"x","nonce":"n","message":1}`, kind, i), "forbidden")
		}
	}
	early.Gets(`{"type":"auth","id":90,"token":`+servertest.Quoted(who["user"].AccessToken)+`}`, "authed")
	socket.Gets(`{"type":"auth","id":91,"token":"forged"}`, "unauthenticated")
	socket.Gets(`{"type":"auth","id":92,"token":`+servertest.Quoted(who["guest"].AccessToken)+`}`, "forbidden")
	socket.Gets(`{"type":"join","id":93,"room":"nowhere"}`, "not_found")
	socket.Gets(`{"type":"join","id":94,"room":"general"}`, "joined")
	a.gets("createRoom 201", who["staff"].AccessToken, `{"slug":"side","name":"Side"}`)
	socket.Gets(`{"type":"join","id":95,"room":"side"}`, "forbidden")
	long := servertest.Quoted(strings.Repeat("x", 16<<10+1))
	socket.Gets(`{"type":"send","id":96,"room":"general","nonce":"1","body":`+long+`}`, "too_large")
	socket.Gets(`{"type":"send","id":97,"room":"general","nonce":"1","body":"x","reply_to":999}`, "not_found")
	socket.Gets(`{"type":"send","id":98,"room":"general","nonce":"1","body":"x"}`, "sent")
	socket.Gets(`{"type":"send","id":99,"room":"general","nonce":"1","body":"y"}`, "conflict")
	socket.Gets(`{"type":"edit","id":100,"room":"general","message":1,"body":`+long+`}`, "too_large")
	socket.Gets(`{"type":"edit","id":101,"room":"general","message":999,"body":"x"}`, "not_found")
	socket.Gets(`{"type":"edit","id":102,"room":"general","message":1,"body":"x","nonce":"1"}`, "conflict")
	socket.Gets(`{"type":"delete","id":103,"room":"general","message":999}`, "not_found")
	socket.Gets(`{"type":"delete","id":104,"room":"general","message":1,"nonce":"1"}`, "conflict")
	return s.Traffic
}

// fullOccurs shows a token on a socket that is one too many.
func fullOccurs(t *testing.T) *contract.Traffic {
	s := servertest.Serve(t, t.TempDir(), "PARLEY_LIMIT_OPEN_SOCKETS=1")
	user := s.People(t)["user"].AccessToken
	servertest.SignedIn(t, s, user)
	late, _ := servertest.DialRaw(t, s)
	late.Gets(`{"type":"auth","id":1,"token":`+servertest.Quoted(user)+`}`, "rate_limited")
	return s.Traffic
}

// goodbyesOccur has sockets closed for each reason but two: a drain and too slow a reader.
func goodbyesOccur(t *testing.T) *contract.Traffic {
	s := servertest.Serve(t, t.TempDir(), "PARLEY_LIMIT_FRAMES=0.001", "PARLEY_LIMIT_FRAMES_BURST=50")
	user := s.People(t)["user"].AccessToken
	says := map[int]func(*servertest.Socket) error{
		1000: func(r *servertest.Socket) error {
			return r.Conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
		},
		1002: func(r *servertest.Socket) error {
			_, err := r.Conn.NetConn().Write([]byte{0xf1, 0x80, 0, 0, 0, 0}) // with bits that nobody has agreed on
			return err
		},
		1003: func(r *servertest.Socket) error { return r.Conn.WriteMessage(websocket.BinaryMessage, []byte("{}")) },
		1007: func(r *servertest.Socket) error { return r.Conn.WriteMessage(websocket.TextMessage, []byte("\xff")) },
		1009: func(r *servertest.Socket) error {
			return r.Conn.WriteMessage(websocket.TextMessage, []byte(strings.Repeat("x", 128<<10+1)))
		},
		4429: func(r *servertest.Socket) error {
			for range 60 {
				r.Watched.Wrote([]byte(`{"type":"coal"}`))
				if err := r.Conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"coal"}`)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	for _, code := range slices.Sorted(maps.Keys(says)) { // flooding comes last: no frame of its user is taken then
		socket := servertest.SignedIn(t, s, user)
		if err := says[code](socket); err != nil {
			t.Error(err)
		}
		if got := socket.ClosedWith(); got != code {
			t.Errorf("closed with %v, want %d", got, code)
		}
	}
	return s.Traffic
}

// slowReaderOccurs sends more than fits to one who does not read, and reads then.
func slowReaderOccurs(t *testing.T) *contract.Traffic {
	s := servertest.Serve(t, t.TempDir(), localcluster.WithoutLimits()...)
	who := s.People(t)
	slow := servertest.SignedIn(t, s, who["user"].AccessToken)
	slow.Gets(`{"type":"join","id":1,"room":"general"}`, "joined")
	body := servertest.Quoted(strings.Repeat("all work and no play ", 700))
	fast := servertest.SignedIn(t, s, who["staff"].AccessToken)
	fast.Gets(`{"type":"join","id":1,"room":"general"}`, "joined")
	for i := range 200 { // 3 MB: more than an outbox and the kernel keep for a socket
		if cut(t, s) { // it reads from now on: the close frame is not waited for long
			break
		}
		fast.Gets(fmt.Sprintf(`{"type":"send","id":%d,"room":"general","body":%s,"nonce":"%d"}`, i+2, body, i), "sent")
	}
	if got := slow.ClosedWith(); got != 4408 {
		t.Error("closed with", got)
	}
	return s.Traffic
}

// cut says whether the server has cut a slow reader.
func cut(t *testing.T, s *servertest.Server) bool {
	t.Helper()
	families, err := s.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "parley_edge_slow_reader_cuts_total" {
			return family.GetMetric()[0].GetCounter().GetValue() > 0
		}
	}
	t.Fatal("the server has no such metric")
	return false
}
