package api_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-chat/parley/services/rooms"
	"github.com/parley-chat/parley/test/contract"
	"github.com/parley-chat/parley/test/localcluster"
	"github.com/parley-chat/parley/test/servertest"
)

// privateRoomOccurs: a private room is there for its members alone, by every way in: the list, HTTP, sockets, polls and event streams.
// Staff know of it and do not read it. A member who is taken out is out everywhere; one who is let in sees the room
// at once.
func privateRoomOccurs(t *testing.T) *contract.Traffic {
	data := t.TempDir()
	s := servertest.Serve(t, data, localcluster.WithoutLimits()...)
	who := s.People(t)
	member, staff, guest := who["user"], who["staff"], who["guest"]
	a := ask(t, s)
	a.gets("createRoom 201", staff.AccessToken, `{"slug":"secret","name":"Secret","allow_guests":true}`)
	inRoom, outside, chief := servertest.SignedIn(t, s, member.AccessToken), servertest.SignedIn(t, s, guest.AccessToken), servertest.SignedIn(t, s, staff.AccessToken)
	for i, socket := range []*servertest.Socket{inRoom, outside, chief} {
		socket.Gets(`{"type":"join","id":1,"room":"secret"}`, "joined")
		if i == 1 {
			socket.Gets(`{"type":"send","id":2,"room":"secret","body":"for all","nonce":"1"}`, "sent")
		}
	}
	database := "sqlite:" + filepath.Join(data, "rooms.db")
	plant := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	plant(rooms.SetMember(t.Context(), database, "secret", member.User.ID, "member"))
	plant(rooms.SetPrivate(t.Context(), database, "secret", true))
	outside.Receives("kicked", "room_deleted")
	chief.Receives("kicked")
	inRoom.Receives("room_updated")

	const path = "/api/rooms/secret"
	status := func(token, path string) int { return s.Call(t, http.MethodGet, path, token, "").Status }
	for name, c := range map[string]struct {
		token            string
		know, read, poll int
	}{
		"member": {member.AccessToken, 200, 200, 200},
		"staff":  {staff.AccessToken, 200, 403, 403},
		"guest":  {guest.AccessToken, 404, 404, 404},
		"nobody": {"", 404, 404, 404},
	} {
		got := [4]int{status(c.token, path), status(c.token, path+"/messages"), status(c.token, path+"/events?after=0&wait=0"), c.poll}
		if c.poll != http.StatusOK { // the member's stream, below, has no end to wait for
			got[3] = status(c.token, "/sse?room=secret&after=0")
		}
		if want := [4]int{c.know, c.read, c.poll, c.poll}; got != want {
			t.Errorf("%s: room, history, poll and stream answer %v, not %v", name, got, want)
		}
		if listed := strings.Contains(s.Call(t, http.MethodGet, "/api/rooms?limit=100", c.token, "").Body, `"secret"`); listed != (c.know == 200) {
			t.Errorf("%s: listed: %v", name, listed)
		}
	}
	a.gets("pollEventsHere 403 secret?after=0", staff.AccessToken, "")
	outside.Gets(`{"type":"join","id":3,"room":"secret"}`, "not_found")
	chief.Gets(`{"type":"join","id":3,"room":"secret"}`, "forbidden")
	inRoom.Gets(`{"type":"send","id":3,"room":"secret","body":"among us","nonce":"2"}`, "sent")
	events := stream(t, s, member.AccessToken, "room=secret&after=1", "")
	events.wants("message 2")

	// Taken out: the socket, a poll that waits, the stream.
	polled := make(chan int, 1)
	go func() {
		polled <- s.Call(t, http.MethodGet, path+"/events?after=2&wait=60", member.AccessToken, "").Status
	}()
	plant(rooms.SetMember(t.Context(), database, "secret", member.User.ID, ""))
	inRoom.Receives("kicked", "room_deleted")
	select {
	case got := <-polled:
		if got != http.StatusNotFound {
			t.Error("the poll of somebody taken out answers", got)
		}
	case <-time.After(servertest.LateAtLast):
		t.Error("the poll goes on")
	}
	inRoom.Gets(`{"type":"send","id":4,"room":"secret","body":"still here?","nonce":"3"}`, "forbidden")
	if got := s.Call(t, http.MethodPost, path+"/messages", member.AccessToken, `{"body":"still here?","nonce":"4"}`).Status; got != http.StatusNotFound {
		t.Error("somebody taken out sends by HTTP:", got)
	}

	// Let in: the room is there at once.
	plant(rooms.SetMember(t.Context(), database, "secret", guest.User.ID, "member"))
	outside.Receives("room_created")
	outside.Gets(`{"type":"join","id":5,"room":"secret","after":0}`, "joined")
	return s.Traffic
}
