package api_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/parley-chat/parley/test/contract"
	"github.com/parley-chat/parley/test/localcluster"
	"github.com/parley-chat/parley/test/servertest"
)

// refusedOtherwise are the requests that the documents do not allow and that are refused with another
// status than 400, since what they ask for is nowhere.
var refusedOtherwise = map[string]int{
	"logIn username missing":                   401,
	"logIn password missing":                   401,
	"changePassword current missing":           403,
	"sendMessage body of 16385 characters":     413,
	"editMessage body of 16385 characters":     413,
	"sendMessage reply_to of -1":               404,
	"sendMessage reply_to of 9007199254740992": 404,
}

// What the document says of a request's fields is what the server takes and refuses, to the character.
// The requests are made from the document.
func TestRequestsAreTakenAsDocumented(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), localcluster.WithoutLimits()...)
	a, who := ask(t, s), s.People(t)
	staff := who["staff"].AccessToken
	other := a.gets("createUser 201", staff, `{"username":"una","password":"correct horse staple"}`)
	var made struct {
		User struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	if err := json.Unmarshal([]byte(other.Body), &made); err != nil {
		t.Fatal(err)
	}
	a.gets("sendMessage 201 general", staff, `{"body":"first","nonce":"first"}`)
	tried := 0
	checks := func(o *contract.Operation, fill string, r contract.Request, body string) {
		t.Helper()
		tried++
		name := o.ID + " " + r.What
		got := a.Call(t, o.Method, a.path(o, fill), staff, body)
		want := 400
		if status, ok := refusedOtherwise[name]; ok {
			want = status
		}
		if r.Refused && got.Status != want {
			t.Errorf("%s: %d %.200s, want %d", name, got.Status, got.Body, want)
		}
		if !r.Refused && (got.Status == 400 || got.Status == 413) {
			t.Errorf("%s: %d %.200s, though the document allows it", name, got.Status, got.Body)
		}
	}
	for _, o := range a.documents.Operations() {
		fill := usual(o.ID)
		if fill == "NONE" {
			fill = made.User.ID
		}
		for _, r := range a.documents.Requests(o) {
			if o.ID == "sendMessage" && !r.Refused {
				r.Content["nonce"] = r.What // one that was used is no test of what else there is
				if r.Field == "nonce" {
					r.Content["nonce"] = strings.Repeat("n", len(fmt.Sprint(r.Content["nonce"])))
				}
			}
			body, err := json.Marshal(r.Content)
			if err != nil {
				t.Fatal(err)
			}
			checks(o, fill, r, string(body))
		}
		path, _, _ := strings.Cut(fill, "?")
		for _, r := range a.documents.Queries(o) {
			query := url.Values{"wait": {"0"}}
			query.Set(r.Field, fmt.Sprint(r.Content[r.Field]))
			checks(o, path+"?"+query.Encode(), r, "")
		}
	}
	if tried < 100 {
		t.Errorf("only %d requests were made", tried)
	}
}

// answeredOtherwise are the frames that the documents do not allow and that are answered with another
// error than bad_request; where it is no error at all, with that type.
var answeredOtherwise = map[string]string{
	"auth token missing":                 "unauthenticated",
	"join room of another form":          "not_found",
	"leave room of another form":         "left", // the socket was not in it anyway
	"send body of 16385 characters":      "too_large",
	"edit body of 16385 characters":      "too_large",
	"send reply_to of -1":                "not_found",
	"send reply_to of 9007199254740992":  "not_found",
	"edit message of 9007199254740992":   "not_found",
	"delete message of 9007199254740992": "not_found",
}

// The same for frames. A room that can't exist is a room that nobody is in: forbidden.
func TestFramesAreTakenAsDocumented(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), localcluster.WithoutLimits()...)
	a := ask(t, s)
	signIn, err := s.API.Login(t.Context(), servertest.AdminName, servertest.AdminPassword)
	if err != nil {
		t.Fatal(err)
	}
	socket := servertest.SignedIn(t, s, signIn.AccessToken)
	socket.Gets(`{"type":"join","id":1,"room":"general"}`, "joined")
	socket.Gets(`{"type":"send","id":2,"room":"general","body":"first","nonce":"first"}`, "sent")
	id := 2
	tried := 0
	for _, kind := range a.documents.Commands() {
		for _, r := range a.documents.Frames(kind) {
			if kind == "leave" && !r.Refused || kind == "typing" && !r.Refused {
				continue // nothing is said to what goes well
			}
			id++
			tried++
			r.Content["id"] = id
			if kind != "join" && r.Field != "message" && r.Content["message"] != nil {
				r.Content["message"] = 1
			}
			if r.Field != "reply_to" {
				delete(r.Content, "reply_to")
			}
			text, err := json.Marshal(r.Content)
			if err != nil {
				t.Fatal(err)
			}
			socket.Write(string(text))
			got := socket.Answer(id)
			name := kind + " " + r.What
			want, ok := answeredOtherwise[name]
			if !ok {
				want = "bad_request"
			}
			if !ok && r.Field == "room" && r.What != "room of a number" && r.What != "room missing" {
				want = "forbidden"
			}
			if r.Refused && got["code"] != want && got["type"] != want {
				t.Errorf("%s: %v, want %s", name, got, want)
			}
			if !r.Refused && slices.Contains([]any{"bad_request", "too_large"}, got["code"]) {
				t.Errorf("%s: %v, though the document allows it", name, got)
			}
		}
	}
	if tried < 40 {
		t.Errorf("only %d frames were sent", tried)
	}
}
