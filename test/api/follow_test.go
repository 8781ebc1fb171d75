package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/localcluster"
	"github.com/parley-chat/parley/test/servertest"
)

// say sends n messages by HTTP.
func say(t *testing.T, s *servertest.Server, token string, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		body := fmt.Sprintf(`{"body":"message %d","nonce":"n%d"}`, i, i)
		if a := s.Call(t, http.MethodPost, "/api/rooms/general/messages", token, body); a.Status != http.StatusCreated {
			t.Fatal(a.Status, a.Body)
		}
	}
}

// seqs are the seqs of a long poll's answer.
func seqs(t *testing.T, a servertest.Answer) (got []int) {
	t.Helper()
	var events []struct {
		Seq int `json:"seq"`
	}
	if a.Status != http.StatusOK || json.Unmarshal([]byte(a.Body), &events) != nil {
		t.Fatal(a.Status, a.Body)
	}
	for _, e := range events {
		got = append(got, e.Seq)
	}
	return got
}

func TestLongPoll(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), localcluster.WithoutLimits()...)
	who := s.People(t)
	user, guest := who["user"].AccessToken, who["guest"].AccessToken
	const path = "/api/rooms/general/events"
	say(t, s, user, 1, 600) // more than the edge keeps in memory
	if got := seqs(t, s.Call(t, http.MethodGet, path+"?after=597", guest, "")); fmt.Sprint(got) != "[598 599 600]" {
		t.Error(got)
	}
	at := 0
	for at < 600 {
		page := seqs(t, s.Call(t, http.MethodGet, fmt.Sprintf("%s?after=%d", path, at), guest, ""))
		for _, seq := range page {
			if at++; seq != at {
				t.Fatalf("got %d after %d", seq, at-1)
			}
		}
		if len(page) == 0 {
			t.Fatal("a gap was not paged through")
		}
	}
	began := time.Now()
	if a := s.Call(t, http.MethodGet, path+"?after=600&wait=1", guest, ""); a.Body != "[]" || a.Header.Get("Parley-Log") == "" || time.Since(began) < 900*time.Millisecond {
		t.Error("did not wait", a.Body, time.Since(began))
	}
	polled := make(chan servertest.Answer)
	go func() { polled <- s.Call(t, http.MethodGet, path+"?after=600&wait=25", guest, "") }()
	servertest.Pause(t, 200*time.Millisecond)
	began = time.Now()
	say(t, s, user, 601, 1)
	if got := seqs(t, <-polled); fmt.Sprint(got) != "[601]" || time.Since(began) > servertest.LateAtLast {
		t.Error(got, time.Since(began))
	}
	for name, c := range map[string]struct {
		path, token, code string
		status            int
	}{
		"above the head": {path + "?after=1000", guest, "conflict", 409},
		"another log":    {path + "?after=1&log=x", guest, "conflict", 409},
		"no cursor":      {path + "?after=-1", guest, "bad_request", 400},
		"no number":      {path + "?after=x", guest, "bad_request", 400},
		"hidden room":    {"/api/rooms/staff/events?after=0", user, "not_found", 404},
		"no room":        {"/api/rooms/nope/events?after=0", user, "not_found", 404},
		"bad token":      {path + "?after=0", "x", "unauthenticated", 401},
	} {
		if a := s.Call(t, http.MethodGet, c.path, c.token, ""); a.Status != c.status || a.Code() != c.code {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	// Nobody is left waiting by a server that stops, nor by an account that is signed out.
	go func() { polled <- s.Call(t, http.MethodGet, path+"?after=601&wait=25", guest, "") }()
	servertest.Pause(t, 200*time.Millisecond)
	if err := s.API.Logout(t.Context(), guest); err != nil {
		t.Fatal(err)
	}
	if a := <-polled; a.Code() != "unauthenticated" {
		t.Error("signed out in the middle of a poll:", a.Status, a.Body)
	}
	go func() { polled <- s.Call(t, http.MethodGet, path+"?after=601&wait=25", user, "") }()
	servertest.Pause(t, 200*time.Millisecond)
	go s.Stop()
	if a := <-polled; a.Status != http.StatusOK || a.Body != "[]" {
		t.Error("a draining server left a poll with", a.Status, a.Body)
	}
}

// eventStream reads server-sent events.
type eventStream struct {
	t     *testing.T
	lines *bufio.Scanner
	id    string // of the last id-only block
}

func stream(t *testing.T, s *servertest.Server, token, query, lastID string) *eventStream {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/sse?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	response, err := s.HTTP.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatal(response.Status, response.Header)
	}
	return &eventStream{t: t, lines: bufio.NewScanner(response.Body)}
}

// next is the next event's type and seq; "" at the end.
func (e *eventStream) next() string {
	for e.lines.Scan() {
		if id, ok := strings.CutPrefix(e.lines.Text(), "id: "); ok {
			e.id = id
		}
		data, ok := strings.CutPrefix(e.lines.Text(), "data: ")
		if !ok {
			continue
		}
		var event struct {
			Type string `json:"type"`
			Seq  int    `json:"seq"`
		}
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			e.t.Fatal(err)
		}
		return fmt.Sprintf("%s %d", event.Type, event.Seq)
	}
	return ""
}

func (e *eventStream) wants(want ...string) {
	e.t.Helper()
	for _, w := range want {
		if got := e.next(); got != w {
			e.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

// wantsID reads on to the next block that is only an id.
func (e *eventStream) wantsID(want string) {
	e.t.Helper()
	for e.id != want && e.lines.Scan() {
		if id, ok := strings.CutPrefix(e.lines.Text(), "id: "); ok {
			e.id = id
		}
	}
	if e.id != want {
		e.t.Fatalf("cursors %q, want %q", e.id, want)
	}
}

func TestEventStream(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), localcluster.WithoutLimits()...)
	who := s.People(t)
	user, guest, staff := who["user"].AccessToken, who["guest"].AccessToken, who["staff"].AccessToken
	if _, err := s.API.CreateRoom(t.Context(), staff, client.NewRoom{Slug: "side", Name: "Side", AllowGuests: true}); err != nil {
		t.Fatal(err)
	}
	say(t, s, user, 1, 3)
	e := stream(t, s, guest, "room=general&after=1&room=side&after=0", "")
	e.wants("message 2", "message 3")
	say(t, s, user, 4, 1)
	e.wants("message 4")
	general, err := s.API.Room(t.Context(), user, "general")
	if err != nil {
		t.Fatal(err)
	}
	side, err := s.API.Room(t.Context(), user, "side")
	if err != nil {
		t.Fatal(err)
	}
	id := func(cursor int) string {
		return fmt.Sprintf("general:%d,log.general:%s,side:0,log.side:%s", cursor, general.Log, side.Log)
	}
	e.wantsID(id(4))
	say(t, s, user, 5, 1)
	e.wants("message 5")
	resumed := stream(t, s, guest, "room=general&after=1&room=side&after=0", id(4))
	resumed.wants("message 5")
	// Whose cursor is of another log, or of one that nobody knows any more, is told so.
	for _, c := range []struct{ query, lastID string }{
		{"room=general&after=1", "general:4,log.general:OTHER"},
		{"room=general&after=1", "general:4"}, // of the version before
		{"room=general&after=1&log=OTHER", ""},
	} {
		stream(t, s, guest, c.query, c.lastID).wants("joined 0")
	}
	stream(t, s, guest, "room=general&after=4&log="+string(general.Log), "").wants("message 5")
	refused := stream(t, s, guest, "room=general&after=99", "")
	refused.wants("joined 0") // said, never hidden
	say(t, s, user, 6, 1)
	refused.wants("message 6")

	if a := s.Call(t, http.MethodDelete, "/api/rooms/side", staff, ""); a.Status != http.StatusNoContent {
		t.Fatal(a.Status, a.Body)
	}
	e.wants("message 6", "room_deleted 0")
	if err := s.API.Logout(t.Context(), guest); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	e.wants("error 0", "")
	if took := time.Since(began); took > servertest.LateAtLast {
		t.Error("a session that ended was heard for", took)
	}
	for _, query := range []string{"", "room=general", "room=general&after=x", "room=general&after=0&room=side", "room=general&after=0&log=a&log=b", strings.Repeat("room=general&after=0&", 21)} {
		if a := s.Call(t, http.MethodGet, "/sse?"+query, user, ""); a.Code() != "bad_request" {
			t.Errorf("%q: %d %s", query, a.Status, a.Body)
		}
	}
	if a := s.Call(t, http.MethodGet, "/sse?room=staff&after=0", user, ""); a.Status != http.StatusNotFound {
		t.Error(a.Status, a.Body)
	}
}

// Guarantee 5, on open sockets.
func TestAccessTakenAway(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir())
	who := s.People(t)
	staff := who["staff"].AccessToken
	if _, err := s.API.CreateRoom(t.Context(), staff, client.NewRoom{Slug: "side", Name: "Side", AllowGuests: true}); err != nil {
		t.Fatal(err)
	}
	within := func(what string, began time.Time) {
		t.Helper()
		if took := time.Since(began); took > servertest.LateAtLast {
			t.Errorf("%s took %s", what, took)
		}
	}
	reads := func(socket *servertest.Socket, want ...string) {
		t.Helper()
		for _, kind := range want {
			got := socket.Read()["type"]
			for got == "entered" || got == "exited" { // in no order with the rest
				got = socket.Read()["type"]
			}
			if got != kind {
				t.Fatalf("got %v, want %s", got, kind)
			}
		}
	}
	user, guest := servertest.SignedIn(t, s, who["user"].AccessToken), servertest.SignedIn(t, s, who["guest"].AccessToken)
	for _, socket := range []*servertest.Socket{user, guest} {
		socket.Write(`{"type":"join","id":1,"room":"side"}`)
		if got := socket.Answer(1)["type"]; got != "joined" {
			t.Fatal(got)
		}
	}
	patch := func(path, body string) {
		t.Helper()
		if a := s.Call(t, http.MethodPatch, path, staff, body); a.Status != http.StatusOK {
			t.Fatal(a.Status, a.Body)
		}
	}

	began := time.Now()
	patch("/api/rooms/side", `{"allow_guests":false}`)
	reads(guest, "kicked", "room_deleted")
	within("kicking the guest", began)
	reads(user, "room_updated")
	guest.Write(`{"type":"send","id":2,"room":"side","body":"still here?","nonce":"1"}`)
	if got := guest.Answer(2)["code"]; got != "forbidden" {
		t.Error("one who was kicked speaks:", got)
	}
	guest.Write(`{"type":"join","id":3,"room":"side"}`)
	if got := guest.Answer(3)["code"]; got != "not_found" {
		t.Error("one who was kicked comes back:", got)
	}

	began = time.Now()
	patch("/api/rooms/side", `{"staff_only":true}`)
	reads(user, "kicked", "room_deleted")
	within("kicking the user", began)

	began = time.Now()
	patch("/api/auth/users/"+string(who["user"].User.ID), `{"disabled":true}`)
	if got := user.ClosedWith(); fmt.Sprint(got) != "4401" {
		t.Error("a disabled account's socket closed with", got)
	}
	within("cutting the disabled account", began)
	if a := s.Call(t, http.MethodGet, "/api/rooms", who["user"].AccessToken, ""); a.Status != http.StatusUnauthorized {
		t.Error("a disabled account's token still opens", a.Status)
	}

	began = time.Now()
	if err := s.API.Logout(t.Context(), who["guest"].AccessToken); err != nil {
		t.Fatal(err)
	}
	if got := guest.ClosedWith(); fmt.Sprint(got) != "4401" {
		t.Error("a signed-out session's socket closed with", got)
	}
	within("signing out", began)
}

func TestDrain(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), "PARLEY_DRAIN_SPREAD=400ms")
	socket := servertest.SignedIn(t, s, s.People(t)["user"].AccessToken)
	go s.Stop()
	if got := socket.Read(); got["type"] != "draining" || got["after_ms"] == nil {
		t.Error(got)
	}
	if got := socket.ClosedWith(); fmt.Sprint(got) != "1012" {
		t.Error("closed with", got)
	}
}
