package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/rooms/internal/directory"
	"github.com/parley-chat/parley/services/rooms/internal/ledger"
	"github.com/parley-chat/parley/services/rooms/internal/policy"
	"github.com/parley-chat/parley/services/rooms/internal/sqlite"
	"github.com/parley-chat/parley/services/rooms/internal/storetest"
)

const credential = "0123456789abcdef0123456789abcdef"

// verifier takes the names of the tests' people as tokens.
type verifier struct{}

func (verifier) Verify(_ context.Context, raw string) (token.Claims, error) {
	people := map[string]chat.User{
		"ada":   {ID: "u-ada", Name: "Ada", Kind: chat.KindUser},
		"bob":   {ID: "u-bob", Name: "Bob", Kind: chat.KindUser},
		"gil":   {ID: "g-gil", Name: "Gil", Kind: chat.KindGuest},
		"staff": {ID: "u-sue", Name: "Sue", Kind: chat.KindUser, Staff: true},
	}
	if raw == "alien" {
		return token.Claims{Tenant: "other", User: chat.User{ID: "u-zed", Name: "Zed", Kind: chat.KindUser, Staff: true}}, nil
	}
	if u, ok := people[raw]; ok {
		return token.Claims{Tenant: chat.DefaultTenant, User: u}, nil
	}
	return token.Claims{}, chat.Errorf(chat.CodeUnauthenticated, "a bad token")
}

type silent struct{}

func (silent) Publish(chat.TenantID, chat.LogID, []roomsapi.Entry) {}
func (silent) Drop(chat.TenantID, chat.LogID)                      {}
func (silent) Announce(chat.LogID, []lobby.Event)                  {}

// server is the public and the internal API on one app, over a fresh store.
type server struct {
	t   testing.TB
	app *fiber.App
}

func newServer(t testing.TB, limits Limits) server {
	t.Helper()
	return newServerOn(t, openStore(t), limits)
}

// newServers returns two on one store, of which only the second is limited.
func newServers(t testing.TB, limits Limits) (free, limited server) {
	t.Helper()
	store := openStore(t)
	return newServerOn(t, store, Limits{}), newServerOn(t, store, limits)
}

func openStore(t testing.TB) *sqlite.Store {
	t.Helper()
	db, err := database.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "rooms.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	store, err := sqlite.Open(t.Context(), db, directory.NewLog())
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func newServerOn(t testing.TB, store storetest.Store, limits Limits) server {
	t.Helper()
	rules, log, reg := policy.Rules{UsersCreate: true, StaffDelete: true}, slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	l := ledger.New(ledger.Deps{Store: store, Bus: silent{}, Rules: rules, Log: log, Registry: reg, Now: time.Now})
	d := directory.New(directory.Deps{Store: store, Ledger: l, Rules: rules, Log: log, Registry: reg})
	api := New(Deps{
		Directory: d, Ledger: l, Authenticator: &webapi.Authenticator{Verifier: verifier{}}, Credential: credential, Limits: limits, Now: time.Now, Registry: reg,
	})
	app := webapi.New(webapi.Options{Service: "rooms", Log: log, Registry: reg, BodyLimit: 1 << 20})
	api.Routes(app)
	api.InternalRoutes(app)
	return server{t, app}
}

// call answers with the status and the body.
func (s server) call(who, method, path, body string) (int, string) {
	s.t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if who != "" {
		request.Header.Set("Authorization", "Bearer "+who)
	}
	response, err := s.app.Test(request, 20_000)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// want calls, checks the status, and returns the body as it is in JSON.
func (s server) want(status int, who, method, path, body string) map[string]any {
	s.t.Helper()
	got, text := s.call(who, method, path, body)
	if got != status {
		s.t.Fatalf("%s %s %s %s: %d %s, want %d", who, method, path, body, got, text, status)
	}
	answer := parse(s.t, text)
	if status >= 400 {
		if e, ok := answer["error"].(map[string]any); !ok || e["code"] == "" || e["message"] == "" {
			s.t.Fatalf("not the form of an error: %s", text)
		}
	}
	return answer
}

func parse(t testing.TB, text string) (answer map[string]any) {
	t.Helper()
	if text != "" {
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatal(err, text)
		}
	}
	return answer
}

// list is a field of an answer that is a list of objects.
func list(answer map[string]any, field string) (objects []map[string]any) {
	items, _ := answer[field].([]any)
	for _, item := range items {
		object, _ := item.(map[string]any)
		objects = append(objects, object)
	}
	return objects
}

func TestRooms(t *testing.T) {
	s := newServer(t, Limits{})
	made := s.want(201, "ada", "POST", "/api/rooms", `{"slug":"one","name":"One","allow_guests":true,"private":false,"members":[],"password":"","unknown":1}`)
	for _, field := range []string{"slug", "name", "description", "staff_only", "allow_guests", "private", "log", "head", "floor", "created_at"} {
		if _, ok := made[field]; !ok {
			t.Errorf("a room has no %s: %v", field, made)
		}
	}
	if len(made) != 10 {
		t.Errorf("a room tells too much: %v", made)
	}
	for body, status := range map[string]int{
		`{"slug":"one","name":"Again"}`:                   409,
		`{"slug":"two","name":"Two","private":true}`:      400,
		`{"slug":"two","name":"Two","password":"x"}`:      400,
		`{"slug":"two","name":"Two","members":["u-bob"]}`: 400,
		`{"slug":"two","name":"Two","staff_only":true}`:   403,
		`{"slug":"two"}`:                   400,
		`{"slug":7,"name":"Two"}`:          400,
		`{`:                                400,
		`[]`:                               400,
		`{"slug":"two","name":"\ud800"}`:   400,
		`{"slug":"two","name":"a\u202eb"}`: 400,
		strings.Repeat(`{"a":`, 20) + `1` + strings.Repeat(`}`, 20): 400,
	} {
		s.want(status, "ada", "POST", "/api/rooms", body)
	}
	s.want(403, "gil", "POST", "/api/rooms", `{"slug":"two","name":"Two"}`)
	s.want(401, "", "POST", "/api/rooms", `{"slug":"two","name":"Two"}`)
	s.want(401, "forged", "POST", "/api/rooms", `{"slug":"two","name":"Two"}`)
	s.want(401, "forged", "GET", "/api/rooms", "")
	s.want(201, "staff", "POST", "/api/rooms", `{"slug":"two","name":"Two","staff_only":true}`)
	s.want(400, "ada", "PATCH", "/api/rooms/one", `{"private":true}`)
	if changed := s.want(200, "ada", "PATCH", "/api/rooms/one", `{"name":"Uno"}`); changed["name"] != "Uno" || changed["head"] != 1.0 {
		t.Error(changed)
	}
	if page := s.want(200, "", "GET", "/api/rooms?q=UN&limit=1", ""); len(list(page, "rooms")) != 1 || page["next"] != nil {
		t.Error(page)
	}
	page := s.want(200, "staff", "GET", "/api/rooms?limit=1", "")
	page = s.want(200, "staff", "GET", fmt.Sprint("/api/rooms?limit=1000000&cursor=", page["next"]), "")
	if rooms := list(page, "rooms"); len(rooms) != 1 || rooms[0]["slug"] != "two" {
		t.Error(page)
	}
	for _, query := range []string{"limit=x", "limit=1.5", "cursor=*", "q=" + strings.Repeat("x", 101), "q=%00", "q=%ff"} {
		s.want(400, "ada", "GET", "/api/rooms?"+query, "")
	}
	s.want(204, "ada", "DELETE", "/api/rooms/one", "")
	s.want(409, "ada", "POST", "/api/rooms", `{"slug":"one","name":"One"}`)
	s.want(405, "ada", "PUT", "/api/rooms/two", "")
	s.want(404, "ada", "GET", "/api/rooms/two/else", "")
}

func TestMessages(t *testing.T) {
	s := newServer(t, Limits{})
	s.want(201, "ada", "POST", "/api/rooms", `{"slug":"one","name":"One","allow_guests":true}`)
	const messages = "/api/rooms/one/messages"
	first := s.want(201, "gil", "POST", messages, `{"body":"hi <3","nonce":"n"}`)
	if first["id"] != 1.0 || first["body"] != "hi <3" || first["nonce"] != "n" || !strings.Contains(fmt.Sprint(first["author"]), "kind:guest") {
		t.Error(first)
	}
	if again := s.want(201, "gil", "POST", messages, `{"body":"hi <3","nonce":"n"}`); fmt.Sprint(again) != fmt.Sprint(first) {
		t.Error(again)
	}
	s.want(409, "gil", "POST", messages, `{"body":"ho","nonce":"n"}`)
	s.want(400, "gil", "POST", messages, `{"body":"ho"}`)
	s.want(400, "gil", "POST", messages, `{"body":" ","nonce":"m"}`)
	s.want(400, "gil", "POST", messages, `{"body":"\u0000","nonce":"m"}`)
	s.want(413, "gil", "POST", messages, `{"body":"`+strings.Repeat("x", chat.MaxBodyBytes+1)+`","nonce":"m"}`)
	s.want(404, "gil", "POST", messages, `{"body":"ho","nonce":"m","reply_to":9}`)
	s.want(401, "", "POST", messages, `{"body":"ho","nonce":"m"}`)
	s.want(201, "ada", "POST", messages, `{"body":"ho","nonce":"m","reply_to":1}`)
	if edited := s.want(200, "gil", "PATCH", messages+"/1", `{"body":"hello","nonce":"e"}`); edited["seq"] != 3.0 || len(edited) != 1 {
		t.Error(edited)
	}
	if edited := s.want(200, "gil", "PATCH", messages+"/1", `{"body":"hello","nonce":"e"}`); edited["seq"] != 3.0 {
		t.Error(edited)
	}
	s.want(403, "bob", "PATCH", messages+"/1", `{"body":"mine"}`)
	s.want(403, "bob", "DELETE", messages+"/1", "")
	s.want(404, "gil", "PATCH", messages+"/3", `{"body":"an edit"}`)
	s.want(404, "gil", "PATCH", messages+"/x", `{"body":"x"}`)
	s.want(404, "gil", "DELETE", messages+"/-1", "")
	if deleted := s.want(200, "staff", "DELETE", messages+"/1", ""); deleted["seq"] != 4.0 {
		t.Error(deleted)
	}
	if deleted := s.want(200, "gil", "DELETE", messages+"/1", `{"nonce":"d"}`); deleted["seq"] != 4.0 {
		t.Error(deleted)
	}
	if again := s.want(201, "gil", "POST", messages, `{"body":"hi <3","nonce":"n"}`); again["deleted"] != true || again["body"] != nil || again["id"] != 1.0 {
		t.Error(again)
	}
	page := s.want(200, "", "GET", messages+"?limit=1", "")
	if messages := list(page, "messages"); len(messages) != 1 || messages[0]["id"] != 2.0 || page["has_more"] != true || page["head"] != 4.0 || page["floor"] != 1.0 {
		t.Error(page)
	}
	for cut, want := range map[string]int{"0": 1, "-7": 1, "-99999999999999999999": 1, "99999999999999999999": 2} {
		page = s.want(200, "", "GET", messages+"?limit="+cut, "")
		if got := len(list(page, "messages")); got != want {
			t.Errorf("limit %s: %d messages, want %d", cut, got, want)
		}
	}
	page = s.want(200, "", "GET", messages+"?after=0&limit=1", "")
	if messages := list(page, "messages"); len(messages) != 1 || messages[0]["id"] != 1.0 || page["has_more"] != true {
		t.Error(page)
	}
	page = s.want(200, "", "GET", messages+"?before=1", "")
	if messages := list(page, "messages"); len(messages) != 0 || page["has_more"] != false {
		t.Error(page)
	}
	for _, query := range []string{"after=-1", "after=x", "before=-1", "before=1e3", "limit=x", "after=9007199254740992"} {
		s.want(400, "ada", "GET", messages+"?"+query, "")
	}
}

// TestNoLeak calls every route as everybody: a room that one may not know of answers to the letter as
// none does, whatever else is wrong with the call.
func TestNoLeak(t *testing.T) {
	s := newServer(t, Limits{})
	s.want(201, "staff", "POST", "/api/rooms", `{"slug":"secret","name":"Secret","staff_only":true}`)
	s.want(201, "staff", "POST", "/api/rooms/secret/messages", `{"body":"hush","nonce":"n"}`)
	s.want(201, "ada", "POST", "/api/rooms", `{"slug":"users","name":"Users"}`)
	s.want(201, "ada", "POST", "/api/rooms", `{"slug":"gone","name":"Gone","allow_guests":true}`)
	s.want(204, "ada", "DELETE", "/api/rooms/gone", "")
	hidden := map[string][]string{
		"": {"secret", "users", "gone"}, "gil": {"secret", "users", "gone"}, "ada": {"secret", "gone"}, "bob": {"secret", "gone"}, "staff": {"gone"}, "alien": {"secret", "users"},
	}
	for who, slugs := range hidden {
		for _, c := range []struct{ method, rest, body string }{
			{"GET", "", ""},
			{"PATCH", "", `{"name":"x"}`},
			{"PATCH", "", `{"name":""}`},
			{"PATCH", "", `{}`},
			{"DELETE", "", ""},
			{"GET", "/messages", ""},
			{"GET", "/messages?after=0", ""},
			{"GET", "/messages?after=99999", ""},
			{"GET", "/messages?after=-1", ""},
			{"GET", "/messages?before=2&limit=1", ""},
			{"POST", "/messages", `{"body":"hi","nonce":"n"}`},
			{"POST", "/messages", `{"body":"hi","nonce":"n","reply_to":1}`},
			{"POST", "/messages", `{"body":"","nonce":"n"}`},
			{"POST", "/messages", `{"body":"hi"}`},
			{"PATCH", "/messages/1", `{"body":"x"}`},
			{"PATCH", "/messages/1", `{"body":""}`},
			{"PATCH", "/messages/x", `{"body":"x"}`},
			{"DELETE", "/messages/1", ""},
		} {
			status, none := s.call(who, c.method, "/api/rooms/none"+c.rest, c.body)
			if status < 400 {
				t.Fatal("a room that does not exist answers", status)
			}
			for _, slug := range slugs {
				if got, text := s.call(who, c.method, "/api/rooms/"+slug+c.rest, c.body); got != status || text != none {
					t.Errorf("%q %s %s%s: %d %s, but for none %d %s", who, c.method, slug, c.rest, got, text, status, none)
				}
			}
		}
		if _, text := s.call(who, "GET", "/api/rooms?q=s", ""); who != "staff" && strings.Contains(text, "ecret") {
			t.Errorf("%q is told of the secret room: %s", who, text)
		}
	}
}

// post calls an internal path as an edge does.
func post[T any](s server, path string, request any) (answer T) {
	s.t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		s.t.Fatal(err)
	}
	status, text := s.call(credential, "POST", path, string(body))
	if status != http.StatusOK {
		s.t.Fatalf("%s: %d %s", path, status, text)
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		s.t.Fatal(err)
	}
	return answer
}

func TestInternal(t *testing.T) {
	s := newServer(t, Limits{})
	s.want(201, "ada", "POST", "/api/rooms", `{"slug":"one","name":"One"}`)
	for _, path := range []string{
		roomsapi.PathAppend, roomsapi.PathAccess, roomsapi.PathTail, roomsapi.PathEntries, roomsapi.PathHistory, roomsapi.PathHeads, lobby.PathEvents,
	} {
		for _, who := range []string{"", "ada", "staff", credential + "x"} {
			s.want(401, who, "POST", path, `{}`)
		}
	}
	access := post[roomsapi.AccessResponse](s, roomsapi.PathAccess, roomsapi.AccessRequest{Questions: []roomsapi.Question{
		{Token: "ada", Slug: "one"}, {Token: "gil", Slug: "one"}, {Token: "forged", Slug: "one"}, {Token: "ada", Slug: "none"},
	}}).Answers
	if access[0].Error != nil || access[0].Room.Slug != "one" || access[0].Lobby != 1 || !access[0].ForAll {
		t.Errorf("%+v", access[0])
	}
	if access[1].Error.Code != chat.CodeNotFound || fmt.Sprint(*access[1].Error) != fmt.Sprint(*access[3].Error) || access[1].Room != nil || access[2].Error.Code != chat.CodeUnauthenticated {
		t.Errorf("%+v", access)
	}
	room := access[0].ID
	outcomes := post[roomsapi.AppendResponse](s, roomsapi.PathAppend, roomsapi.AppendRequest{Entries: []roomsapi.Append{
		{Token: "forged", Room: room, Kind: roomsapi.KindSend, Request: operation.Request{Nonce: "1", Body: "x"}},
		{Token: "ada", Room: room, Kind: roomsapi.KindSend, Request: operation.Request{Nonce: "1", Body: "one"}},
		{Token: "gil", Room: room, Kind: roomsapi.KindSend, Request: operation.Request{Nonce: "1", Body: "x"}},
		{Token: "bob", Room: room, Kind: roomsapi.KindSend, Request: operation.Request{Nonce: "1", Body: "two"}},
		{Token: "ada", Room: room, Kind: roomsapi.KindEdit, Request: operation.Request{Message: 1, Body: "uno"}},
		{Token: "bob", Room: room, Kind: roomsapi.KindDelete, Request: operation.Request{Message: 2}},
	}}).Outcomes
	var got []string
	for _, o := range outcomes {
		got = append(got, fmt.Sprint(o.Seq, " ", chat.CodeOf(o.Error.Err())))
	}
	if fmt.Sprint(got) != "[0 unauthenticated 1  0 not_found 2  3  4 ]" {
		t.Error(got)
	}
	entries := post[roomsapi.Range](s, roomsapi.PathEntries, roomsapi.EntriesRequest{Room: room, After: 1, Limit: 10, Bytes: 1 << 20})
	if len(entries.Entries) != 3 || entries.Head != 4 || entries.Floor != 1 || entries.Entries[1].State == nil {
		t.Errorf("%+v", entries)
	}
	tail := post[roomsapi.Range](s, roomsapi.PathTail, roomsapi.TailRequest{Room: room, Limit: 1, Bytes: 1 << 20})
	if len(tail.Entries) != 1 || tail.Entries[0].Seq != 4 || tail.Log != access[0].Room.Log {
		t.Errorf("%+v", tail)
	}
	if h := post[roomsapi.History](s, roomsapi.PathHistory, roomsapi.HistoryRequest{Room: room, Limit: 1}); len(h.Messages) != 1 || !h.HasMore {
		t.Errorf("%+v", h)
	}
	if h := post[roomsapi.Heads](s, roomsapi.PathHeads, struct{}{}); len(h.Heads) != 1 || h.Heads[0].Head != 4 || h.Heads[0].Room != room {
		t.Errorf("%+v", h)
	}
	if page := post[lobby.Page](s, lobby.PathEvents, lobby.EventsRequest{Limit: 5}); len(page.Events) != 1 || page.Events[0].Room.Slug != "one" {
		t.Errorf("%+v", page)
	}
	s.want(404, credential, "POST", roomsapi.PathTail, `{"room":99}`)
	s.want(400, credential, "POST", roomsapi.PathEntries, `{"room":1,"after":-1}`)
	s.want(400, credential, "POST", roomsapi.PathAppend, `{"entries":7}`)
	if empty := post[roomsapi.AppendResponse](s, roomsapi.PathAppend, roomsapi.AppendRequest{}); len(empty.Outcomes) != 0 {
		t.Error(empty)
	}
}
