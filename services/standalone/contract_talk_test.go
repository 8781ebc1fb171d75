package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/parley-chat/parley/services/standalone/internal/cluster"
	"github.com/parley-chat/parley/services/standalone/internal/contract"
)

// internalOccurs takes tables away under a running server.
func internalOccurs(t *testing.T) *contract.Traffic {
	data := t.TempDir()
	s := serve(t, data, cluster.WithoutLimits()...)
	a, who := ask(t, s), s.people(t)
	staff := who["staff"].AccessToken
	a.gets("createRoom 201", staff, `{"slug":"side","name":"Side"}`)
	a.gets("sendMessage 201 side", staff, `{"body":"x","nonce":"1"}`)
	socket := signedIn(t, s, staff)
	socket.gets(`{"type":"join","id":1,"room":"side"}`, "joined")

	breaks(t, data, "rooms.db", `ALTER TABLE room_nonces RENAME TO gone`)
	socket.gets(`{"type":"send","id":2,"room":"side","body":"x","nonce":"2"}`, "unavailable")
	socket.gets(`{"type":"edit","id":3,"room":"side","message":1,"body":"x","nonce":"3"}`, "unavailable")
	socket.gets(`{"type":"delete","id":4,"room":"side","message":1,"nonce":"4"}`, "unavailable")
	breaks(t, data, "rooms.db", `ALTER TABLE room_log RENAME TO gone_too`)
	socket.gets(`{"type":"history","id":5,"room":"side"}`, "internal")
	breaks(t, data, "rooms.db", `ALTER TABLE rooms RENAME TO gone_as_well`)
	socket.gets(`{"type":"join","id":6,"room":"general"}`, "internal")
	breaks(t, data, "auth.db", `ALTER TABLE auth_sessions RENAME TO gone`)
	for operation := range strings.FieldsSeq(meets["500"]) {
		body := a.example(operation)
		switch operation {
		case "logIn":
			body = `{"username":` + quoted(adminName) + `,"password":` + quoted(adminPassword) + `}`
		case "refresh":
			body = `{"refresh_token":` + quoted(who["user"].RefreshToken) + `}`
		}
		a.gets(operation+" 500 "+usual(operation), staff, body)
	}
	return s.traffic
}

// lostContactOccurs takes away what the edge hears of rooms, and waits until it goes by it no longer.
func lostContactOccurs(t *testing.T) *contract.Traffic {
	data := t.TempDir()
	s := serve(t, data, append([]string{"PARLEY_GRACE=1s"}, cluster.WithoutLimits()...)...)
	a, staff := ask(t, s), s.people(t)["staff"].AccessToken
	socket := signedIn(t, s, staff)
	socket.gets(`{"type":"join","id":1,"room":"general"}`, "joined")
	breaks(t, data, "rooms.db", `ALTER TABLE rooms_lobby RENAME TO gone`)
	for deadline := time.Now().Add(20 * time.Second); a.call(t, http.MethodGet, "/api/rooms/general/events?wait=0", staff, "").status == http.StatusOK; pause(t, 100*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the edge goes on without contact")
		}
	}
	socket.gets(`{"type":"history","id":2,"room":"general"}`, "unavailable")
	socket.gets(`{"type":"join","id":3,"room":"general"}`, "unavailable")
	return s.traffic
}

// talkOccurs has people talk, on sockets and in a stream.
func talkOccurs(t *testing.T) *contract.Traffic {
	s := serve(t, t.TempDir(), append([]string{"PARLEY_DRAIN_SPREAD=400ms"}, cluster.WithoutLimits()...)...)
	a, who := ask(t, s), s.people(t)
	staff := who["staff"].AccessToken
	user, guest := signedIn(t, s, who["user"].AccessToken), signedIn(t, s, who["guest"].AccessToken)
	user.gets(`{"type":"auth","id":1,"token":`+quoted(who["user"].AccessToken)+`}`, "authed")
	a.gets("createRoom 201", staff, `{"slug":"side","name":"Side","allow_guests":true}`)
	guest.hears("room_created")
	user.gets(`{"type":"join","id":2,"room":"side"}`, "joined")
	guest.gets(`{"type":"join","id":2,"room":"side","limit":5}`, "joined")
	user.hears("entered")
	user.gets(`{"type":"members","id":3,"room":"side"}`, "members")
	guest.write(`{"type":"typing","room":"side"}`)
	user.hears("typing")

	guest.gets(`{"type":"send","id":3,"room":"side","body":"one","nonce":"1"}`, "sent")
	guest.gets(`{"type":"send","id":4,"room":"side","body":"two","nonce":"2","reply_to":1}`, "sent")
	guest.gets(`{"type":"edit","id":5,"room":"side","message":1,"body":"eins","nonce":"3"}`, "ok")
	guest.gets(`{"type":"delete","id":6,"room":"side","message":2}`, "ok")
	a.gets("changeRoom 200 side", staff, `{"name":"Aside"}`)
	user.hears("message", "edited", "deleted", "notice", "room_updated")
	user.gets(`{"type":"history","id":4,"room":"side","limit":10}`, "history")
	if again := user.gets(`{"type":"join","id":5,"room":"side","after":0}`, "joined"); again["recovered"] != true {
		t.Error("not recovered:", again)
	}
	if empty := user.gets(`{"type":"join","id":6,"room":"general"}`, "joined"); empty["messages"] == nil {
		t.Error("an empty room:", empty)
	}
	user.gets(`{"type":"leave","id":7,"room":"side"}`, "left")
	guest.hears("exited")

	streamed := s.stream(t, who["user"].AccessToken, "room=side&after=0&room=general&after=0", "")
	streamed.wants("message 1", "message 2", "edited 3", "deleted 4", "notice 5")
	s.stream(t, who["user"].AccessToken, "room=side&after=99", "").wants("joined 0")
	s.stream(t, who["user"].AccessToken, "room=general&after=99", "").wants("joined 0") // of an empty room
	a.gets("changeRoom 200 side", staff, `{"allow_guests":false}`)
	guest.hears("kicked", "room_deleted")
	a.gets("deleteRoom 204 side", staff, "")
	streamed.wants("room_deleted 0")
	ended := s.stream(t, who["guest"].AccessToken, "room=general&after=0", "")
	a.gets("logOut 204", who["guest"].AccessToken, "")
	ended.wants("error 0", "")
	if code := guest.closedWith(); code != 4401 {
		t.Error("signed out, but closed with", code)
	}

	go s.stop()
	user.hears("draining")
	if code := user.closedWith(); code != 1012 {
		t.Error("drained, but closed with", code)
	}
	streamed.wants("draining 0", "")
	return s.traffic
}

// refusalsOccur sends each command so that it is refused, for each reason that there is.
func refusalsOccur(t *testing.T) *contract.Traffic {
	s := serve(t, t.TempDir(), append([]string{"PARLEY_EDGE_ROOMS=1"}, cluster.WithoutLimits()...)...)
	a, who := ask(t, s), s.people(t)
	early, refused := dialRaw(t, s)
	if refused != 0 {
		t.Fatal(refused)
	}
	socket := signedIn(t, s, who["user"].AccessToken)
	for i, kind := range a.documents.Commands() {
		if kind != "auth" {
			early.gets(fmt.Sprintf(`{"type":%q,"id":%d,"room":"general"}`, kind, i), "unauthenticated")
		}
		socket.gets(fmt.Sprintf(`{"type":%q,"id":%d,"room":5,"token":5}`, kind, i), "bad_request")
		if kind != "auth" && kind != "join" && kind != "leave" {
			socket.gets(fmt.Sprintf(`{"type":%q,"id":%d,"room":"general","body":"x","nonce":"n","message":1}`, kind, i), "forbidden")
		}
	}
	early.gets(`{"type":"auth","id":90,"token":`+quoted(who["user"].AccessToken)+`}`, "authed")
	socket.gets(`{"type":"auth","id":91,"token":"forged"}`, "unauthenticated")
	socket.gets(`{"type":"auth","id":92,"token":`+quoted(who["guest"].AccessToken)+`}`, "forbidden")
	socket.gets(`{"type":"join","id":93,"room":"nowhere"}`, "not_found")
	socket.gets(`{"type":"join","id":94,"room":"general"}`, "joined")
	a.gets("createRoom 201", who["staff"].AccessToken, `{"slug":"side","name":"Side"}`)
	socket.gets(`{"type":"join","id":95,"room":"side"}`, "forbidden")
	long := quoted(strings.Repeat("x", 16<<10+1))
	socket.gets(`{"type":"send","id":96,"room":"general","nonce":"1","body":`+long+`}`, "too_large")
	socket.gets(`{"type":"send","id":97,"room":"general","nonce":"1","body":"x","reply_to":999}`, "not_found")
	socket.gets(`{"type":"send","id":98,"room":"general","nonce":"1","body":"x"}`, "sent")
	socket.gets(`{"type":"send","id":99,"room":"general","nonce":"1","body":"y"}`, "conflict")
	socket.gets(`{"type":"edit","id":100,"room":"general","message":1,"body":`+long+`}`, "too_large")
	socket.gets(`{"type":"edit","id":101,"room":"general","message":999,"body":"x"}`, "not_found")
	socket.gets(`{"type":"edit","id":102,"room":"general","message":1,"body":"x","nonce":"1"}`, "conflict")
	socket.gets(`{"type":"delete","id":103,"room":"general","message":999}`, "not_found")
	socket.gets(`{"type":"delete","id":104,"room":"general","message":1,"nonce":"1"}`, "conflict")
	return s.traffic
}

// fullOccurs shows a token on a socket that is one too many.
func fullOccurs(t *testing.T) *contract.Traffic {
	s := serve(t, t.TempDir(), "PARLEY_LIMIT_OPEN_SOCKETS=1")
	user := s.people(t)["user"].AccessToken
	signedIn(t, s, user)
	late, _ := dialRaw(t, s)
	late.gets(`{"type":"auth","id":1,"token":`+quoted(user)+`}`, "rate_limited")
	return s.traffic
}

// goodbyesOccur has sockets closed for each reason but two: a drain and too slow a reader.
func goodbyesOccur(t *testing.T) *contract.Traffic {
	s := serve(t, t.TempDir(), "PARLEY_LIMIT_FRAMES=0.001", "PARLEY_LIMIT_FRAMES_BURST=50")
	user := s.people(t)["user"].AccessToken
	says := map[int]func(*rawSocket) error{
		1000: func(r *rawSocket) error {
			return r.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
		},
		1002: func(r *rawSocket) error {
			_, err := r.conn.NetConn().Write([]byte{0xf1, 0x80, 0, 0, 0, 0}) // with bits that nobody has agreed on
			return err
		},
		1003: func(r *rawSocket) error { return r.conn.WriteMessage(websocket.BinaryMessage, []byte("{}")) },
		1007: func(r *rawSocket) error { return r.conn.WriteMessage(websocket.TextMessage, []byte("\xff")) },
		1009: func(r *rawSocket) error {
			return r.conn.WriteMessage(websocket.TextMessage, []byte(strings.Repeat("x", 128<<10+1)))
		},
		4429: func(r *rawSocket) error {
			for range 60 {
				r.watched.Wrote([]byte(`{"type":"coal"}`))
				if err := r.conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"coal"}`)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	for _, code := range slices.Sorted(maps.Keys(says)) { // flooding comes last: no frame of its user is taken then
		socket := signedIn(t, s, user)
		if err := says[code](socket); err != nil {
			t.Error(err)
		}
		if got := socket.closedWith(); got != code {
			t.Errorf("closed with %v, want %d", got, code)
		}
	}
	return s.traffic
}

// slowReaderOccurs sends more than fits to one who does not read, and reads then.
func slowReaderOccurs(t *testing.T) *contract.Traffic {
	s := serve(t, t.TempDir(), cluster.WithoutLimits()...)
	who := s.people(t)
	slow := signedIn(t, s, who["user"].AccessToken)
	slow.gets(`{"type":"join","id":1,"room":"general"}`, "joined")
	body := quoted(strings.Repeat("all work and no play ", 700))
	fast := signedIn(t, s, who["staff"].AccessToken)
	fast.gets(`{"type":"join","id":1,"room":"general"}`, "joined")
	for i := range 200 { // 3 MB: more than an outbox and the kernel keep for a socket
		fast.gets(fmt.Sprintf(`{"type":"send","id":%d,"room":"general","body":%s,"nonce":"%d"}`, i+2, body, i), "sent")
	}
	if got := slow.closedWith(); got != 4408 {
		t.Error("closed with", got)
	}
	return s.traffic
}
