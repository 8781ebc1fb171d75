package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-chat/parley/test/contract"
	"github.com/parley-chat/parley/test/localcluster"
	"github.com/parley-chat/parley/test/servertest"
)

// Everything that the documents describe occurs: each answer of each call, each frame in both
// directions, each code of an error in answer to each command, each close code, each field and each
// value of an enumeration. That nothing else occurs is checked wherever these tests listen.
func TestEverythingDocumentedOccurs(t *testing.T) {
	t.Parallel()
	documents, err := servertest.Documents()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen, ran := map[string]bool{}, 0
	parts := []struct {
		name string
		run  func(*testing.T) *contract.Traffic
	}{
		{"answers", answersOccur},
		{"limits", limitsOccur},
		{"full", fullOccurs},
		{"redirect", redirectOccurs},
		{"closed doors", closedDoorsOccur},
		{"starting", unavailableOccurs},
		{"broken", internalOccurs},
		{"no contact", lostContactOccurs},
		{"talk", talkOccurs},
		{"refusals", refusalsOccur},
		{"goodbyes", goodbyesOccur},
		{"slow reader", slowReaderOccurs},
		{"private room", privateRoomOccurs},
	}
	t.Run("all", func(t *testing.T) {
		for _, part := range parts {
			t.Run(part.name, func(t *testing.T) {
				t.Parallel()
				traffic := part.run(t)
				mu.Lock()
				defer mu.Unlock()
				maps.Copy(seen, traffic.Seen())
				ran++
			})
		}
	})
	if t.Failed() || ran < len(parts) { // only some were asked for
		return
	}
	for _, what := range documents.Unseen(seen) {
		t.Error("described, but never seen:", what)
	}
}

// asker makes calls by the names that they have in openapi.yaml.
type asker struct {
	t *testing.T
	*servertest.Server
	operations map[string]*contract.Operation
	documents  *contract.Contract
}

func ask(t *testing.T, s *servertest.Server) asker {
	t.Helper()
	documents, err := servertest.Documents()
	if err != nil {
		t.Fatal(err)
	}
	a := asker{t, s, map[string]*contract.Operation{}, documents}
	for _, o := range documents.Operations() {
		a.operations[o.ID] = o
	}
	return a
}

// path is an operation's with its parameters filled in from fill, which may end in a query.
func (a asker) path(o *contract.Operation, fill string) string {
	path, query, _ := strings.Cut(fill, "?")
	for value := range strings.FieldsSeq(path) {
		from, to := strings.Index(o.Path, "{"), strings.Index(o.Path, "}")
		o = &contract.Operation{Path: o.Path[:from] + value + o.Path[to+1:]}
	}
	if query != "" {
		return o.Path + "?" + query
	}
	return o.Path
}

// gets calls and fails unless it gets what is wanted: "logIn 401" or, with parameters, "room 200 general".
func (a asker) gets(want, token, body string, headers ...string) servertest.Answer {
	a.t.Helper()
	name, rest, _ := strings.Cut(want, " ")
	status, fill, _ := strings.Cut(rest, " ")
	o := a.operations[name]
	if o == nil {
		a.t.Fatalf("there is no operation %s", name)
	}
	got := a.Call(a.t, o.Method, a.path(o, fill), token, body, headers...)
	if fmt.Sprint(got.Status) != status {
		a.t.Errorf("%s %s: got %d %s", want, body, got.Status, got.Body)
	}
	return got
}

// announces a body that is too large, and does not send it: the answer would cut it short.
func (a asker) announces(operation string, bytes int) {
	a.t.Helper()
	address := strings.TrimPrefix(a.URL, "http://")
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(a.t.Context(), "tcp", address)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	o := a.operations[operation]
	path := a.path(o, usual(operation))
	_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", o.Method, path, address, bytes)
	if err != nil {
		a.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		a.t.Fatal(operation, err)
	}
	if err := a.Traffic.Answer(o.Method, path, response); err != nil {
		a.t.Fatal(operation, err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusRequestEntityTooLarge {
		a.t.Errorf("%s of %d bytes: %s", operation, bytes, response.Status)
	}
}

// meets are the calls that a test brings to each status in the same way. They are named here and not
// read from the document, so that what the document forgets is found out, too.
var meets = map[string]string{
	"400": "signUp logIn comeAsGuest refresh logOut changePassword createUser changeUser createRoom changeRoom sendMessage editMessage deleteMessage",
	"401": "logOut changePassword me listUsers createUser changeUser eraseUser listRooms createRoom room changeRoom deleteRoom listMessages " +
		"sendMessage editMessage deleteMessage pollEvents pollEventsHere streamEvents",
	"403": "logOut changePassword createUser changeUser eraseUser createRoom changeRoom deleteRoom sendMessage editMessage deleteMessage",
	"404": "changeUser eraseUser room changeRoom deleteRoom listMessages sendMessage editMessage deleteMessage pollEvents pollEventsHere streamEvents",
	"413": "signUp logIn comeAsGuest refresh logOut changePassword createUser changeUser createRoom changeRoom sendMessage editMessage deleteMessage",
	"415": "signUp logIn comeAsGuest refresh logOut changePassword createUser changeUser createRoom changeRoom sendMessage editMessage deleteMessage",
	"429": "signUp logIn comeAsGuest refresh logOut changePassword me listUsers createUser changeUser eraseUser listRooms createRoom room changeRoom " +
		"deleteRoom listMessages sendMessage editMessage deleteMessage pollEvents pollEventsHere streamEvents",
	"500": "signUp logIn comeAsGuest refresh logOut changePassword me listUsers createUser changeUser eraseUser listRooms room changeRoom " +
		"deleteRoom listMessages sendMessage editMessage deleteMessage pollEvents pollEventsHere streamEvents",
	"503": "signUp logIn comeAsGuest refresh logOut changePassword me keys listUsers createUser changeUser eraseUser listRooms createRoom room " +
		"changeRoom deleteRoom listMessages sendMessage editMessage deleteMessage pollEvents pollEventsHere streamEvents openSocket",
}

// usual are parameters that name something; "none" in place of the room names nothing.
func usual(operation string) string {
	switch operation {
	case "changeUser", "eraseUser":
		return "NONE"
	case "changeRoom", "deleteRoom", "room", "listMessages", "sendMessage":
		return "general"
	case "editMessage", "deleteMessage":
		return "general 1"
	case "pollEvents", "pollEventsHere":
		return "general?wait=0"
	case "streamEvents":
		return "?room=general&after=0"
	}
	return ""
}

// example is the document's example of an operation's body.
func (a asker) example(operation string) string {
	example := a.documents.Example(a.operations[operation])
	if example == nil {
		return ""
	}
	text, err := json.Marshal(example)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(text)
}

// answersOccur makes every call that goes well, and those that don't for what was asked.
func answersOccur(t *testing.T) *contract.Traffic {
	data := t.TempDir()
	s := servertest.Serve(t, data, localcluster.WithoutLimits()...)
	a, who := ask(t, s), s.People(t)
	staff, user, guest := who["staff"].AccessToken, who["user"].AccessToken, who["guest"].AccessToken

	a.gets("signUp 201", "", `{"username":"sam","password":"correct horse staple"}`)
	a.gets("signUp 409", "", `{"username":"sam","password":"correct horse staple"}`)
	a.gets("logIn 200", "", `{"username":"sam","password":"correct horse staple"}`)
	a.gets("logIn 401", "", `{"username":"sam","password":"wrong"}`)
	a.gets("comeAsGuest 200", "", `{"name":"Gus"}`)
	a.gets("comeAsGuest 409", "", `{"name":"root"}`)
	a.gets("refresh 200", "", `{"refresh_token":`+servertest.Quoted(who["guest"].RefreshToken)+`}`)
	a.gets("refresh 401", "", "", "Cookie: parley_refresh=forged", "Origin: "+s.URL)
	a.gets("refresh 403", "", "", "Cookie: parley_refresh=forged", "Origin: https://evil.example")
	a.gets("me 200", guest, "")
	a.gets("me 200", user, "")
	a.gets("keys 200", "", "")

	a.gets("createUser 201", staff, `{"username":"uma","password":"correct horse staple","staff":true}`)
	made := a.gets("createUser 201", staff, `{"username":"una","password":"correct horse staple"}`)
	a.gets("createUser 409", staff, `{"username":"una","password":"correct horse staple"}`)
	a.gets("listUsers 200", staff, "")
	a.gets("listUsers 200 ?limit=1&q=u", staff, "")
	a.gets("listUsers 400 ?cursor=*", staff, "")
	a.gets("listUsers 403", user, "")
	var account struct {
		User struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	if err := json.Unmarshal([]byte(made.Body), &account); err != nil {
		t.Fatal(err)
	}
	a.gets("changeUser 200 "+account.User.ID, staff, `{"disabled":true}`)
	a.gets("eraseUser 204 "+account.User.ID, staff, "")

	a.gets("createRoom 201", staff, `{"slug":"side","name":"Side","description":"A room","allow_guests":true}`)
	a.gets("createRoom 409", staff, `{"slug":"side","name":"Side"}`)
	a.gets("listRooms 200", "", "")
	a.gets("listRooms 200 ?limit=1", staff, "")
	a.gets("listRooms 400 ?cursor=*", staff, "")
	a.gets("room 200 side", "", "")
	a.gets("changeRoom 200 side", staff, `{"name":"Aside"}`)

	a.gets("sendMessage 201 general", user, `{"body":"first","nonce":"1"}`)
	a.gets("sendMessage 409 general", user, `{"body":"other","nonce":"1"}`)
	a.gets("sendMessage 201 general", guest, `{"body":"second","nonce":"2","reply_to":1}`)
	a.gets("editMessage 200 general 1", user, `{"body":"first of all","nonce":"3"}`)
	a.gets("editMessage 409 general 1", user, `{"body":"not the first","nonce":"3"}`)
	a.gets("deleteMessage 409 general 1", user, `{"nonce":"3"}`)
	a.gets("deleteMessage 200 general 2", guest, "")
	a.gets("listMessages 200 general", "", "")
	a.gets("listMessages 400 general?after=-1", "", "")
	a.gets("pollEvents 200 general?after=0", "", "")
	a.gets("pollEvents 400 general?after=-1", "", "")
	a.gets("pollEvents 409 general?after=999", "", "")
	a.gets("pollEventsHere 200 general?after=0", "", "")
	a.gets("pollEventsHere 400 general?wait=x", "", "")
	a.gets("pollEventsHere 409 general?after=999", "", "")
	a.gets("streamEvents 400", "", "")
	a.gets("openSocket 426", "", "")
	a.gets("openSocket 400", "", "", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: abc")
	servertest.SignedIn(t, s, user) // 101
	if _, refused := servertest.DialRaw(t, s, "Cookie: parley_session="+user); refused != http.StatusForbidden {
		t.Error("a cookie without an origin:", refused)
	}
	if _, refused := servertest.DialRaw(t, s, "Authorization: Bearer forged"); refused != http.StatusUnauthorized {
		t.Error("a forged token:", refused)
	}

	for operation := range strings.FieldsSeq(meets["415"]) {
		a.gets(operation+" 415 "+usual(operation), staff, "name=value", "Content-Type: application/x-www-form-urlencoded")
	}
	for operation := range strings.FieldsSeq(meets["413"]) {
		a.announces(operation, 129<<10)
	}
	for operation := range strings.FieldsSeq(meets["400"]) {
		a.gets(operation+" 400 "+usual(operation), staff, `[]`)
	}
	for operation := range strings.FieldsSeq(meets["401"]) {
		a.gets(operation+" 401 "+usual(operation), "forged", a.example(operation))
	}
	for operation := range strings.FieldsSeq(meets["403"]) { // by cookie, from nowhere
		a.gets(operation+" 403 "+usual(operation), "", a.example(operation), "Cookie: parley_session="+staff)
	}
	for operation := range strings.FieldsSeq(meets["404"]) {
		a.gets(operation+" 404 "+strings.ReplaceAll(usual(operation), "general", "nowhere"), staff, a.example(operation))
	}

	root := string(who["staff"].User.ID)
	servertest.Execute(t, data, "auth.db", `UPDATE auth_accounts SET staff = 0 WHERE username_key = 'uma'`)
	a.gets("changeUser 409 "+root, staff, `{"disabled":true}`)
	a.gets("eraseUser 409 "+root, staff, "")
	servertest.Execute(t, data, "rooms.db", `UPDATE rooms SET floor = 3 WHERE slug = 'general'`) // as retention will
	a.gets("listMessages 409 general?after=1", "", "")

	a.gets("deleteRoom 204 side", staff, "")
	a.gets("changePassword 200", user, `{"current":"correct horse staple","new":"staple the correct horse"}`)
	a.gets("logOut 204", guest, "")
	return s.Traffic
}

// limitsOccur asks too often.
func limitsOccur(t *testing.T) *contract.Traffic {
	var variables []string
	for _, name := range []string{"SIGNUP", "LOGIN", "GUEST", "REFRESH", "READS", "USER_CHANGE", "ROOM_CREATE", "ROOM_CHANGE", "SENDS_HTTP", "SENDS", "JOINS", "POLLS", "CONNECTS"} {
		variables = append(variables, "PARLEY_LIMIT_"+name+"=0.001", "PARLEY_LIMIT_"+name+"_BURST=1")
	}
	s := servertest.Serve(t, t.TempDir(), variables...)
	a, who := ask(t, s), s.People(t) // which is one login, one signup and one guest
	staff := who["staff"].AccessToken
	a.gets("refresh 401", "", `{"refresh_token":"forged"}`)
	a.gets("createRoom 201", staff, `{"slug":"side","name":"Side"}`)
	a.gets("changeRoom 200 side", staff, `{"name":"Inside"}`)
	a.gets("listRooms 200", staff, "")
	a.gets("me 200", staff, "")
	a.gets("createUser 201", staff, `{"username":"una","password":"correct horse staple"}`)
	a.gets("logOut 401", "", `{"refresh_token":"forged"}`)
	a.gets("sendMessage 201 general", staff, `{"body":"x","nonce":"1"}`)
	a.gets("pollEvents 200 general", staff, "")
	socket := servertest.SignedIn(t, s, staff)
	if _, refused := servertest.DialRaw(t, s, "Authorization: Bearer "+staff); refused != http.StatusTooManyRequests {
		t.Error("a second handshake:", refused)
	}
	for operation := range strings.FieldsSeq(meets["429"]) {
		a.gets(operation+" 429 "+usual(operation), staff, a.example(operation))
	}
	socket.Gets(`{"type":"join","id":1,"room":"general"}`, "joined")
	socket.Gets(`{"type":"join","id":2,"room":"general"}`, "rate_limited")
	socket.Gets(`{"type":"send","id":3,"room":"general","body":"x","nonce":"2"}`, "sent")
	socket.Gets(`{"type":"send","id":4,"room":"general","body":"x","nonce":"3"}`, "rate_limited")
	socket.Gets(`{"type":"edit","id":5,"room":"general","message":1,"body":"y"}`, "rate_limited")
	socket.Gets(`{"type":"delete","id":6,"room":"general","message":1}`, "rate_limited")
	return s.Traffic
}

func closedDoorsOccur(t *testing.T) *contract.Traffic {
	s := servertest.Serve(t, t.TempDir(), "PARLEY_SIGNUP=false", "PARLEY_GUESTS=false")
	a := ask(t, s)
	a.gets("signUp 403", "", a.example("signUp"))
	a.gets("comeAsGuest 403", "", a.example("comeAsGuest"))
	return s.Traffic
}

// unavailableOccurs asks a server that has not got ready: nobody has told it the keys yet, with which
// tokens are signed and checked.
func unavailableOccurs(t *testing.T) *contract.Traffic {
	data := t.TempDir()
	before := servertest.Serve(t, data)
	refresh := before.People(t)["user"].RefreshToken
	before.Stop()

	s, built := servertest.Build(t, data)
	a := ask(t, s)
	for operation := range strings.FieldsSeq(meets["503"]) {
		o, body := a.operations[operation], a.example(operation)
		switch operation {
		case "logIn":
			body = `{"username":` + servertest.Quoted(servertest.AdminName) + `,"password":` + servertest.Quoted(servertest.AdminPassword) + `}`
		case "refresh":
			body = `{"refresh_token":` + servertest.Quoted(refresh) + `}`
		}
		request := httptest.NewRequest(o.Method, a.path(o, usual(operation)), strings.NewReader(body))
		request.Host = "localhost"
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+sign(t, "EdDSA", time.Now().Add(time.Hour)))
		if operation == "openSocket" {
			for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw=="} {
				request.Header.Set(name, value)
			}
		}
		response, err := s.App.Test(request, 10_000)
		if err != nil {
			t.Fatal(operation, err)
		}
		if err := s.Traffic.Answer(o.Method, request.URL.EscapedPath(), response); err != nil {
			t.Fatal(operation, err)
		}
		if response.StatusCode != http.StatusServiceUnavailable {
			content, _ := io.ReadAll(response.Body)
			t.Errorf("%s of a server that is not ready: %d %s", operation, response.StatusCode, content)
		}
		_ = response.Body.Close()
	}
	built.Close(t)
	return s.Traffic
}
