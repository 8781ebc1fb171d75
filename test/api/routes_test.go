package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/servertest"
)

// roles are the columns of the table of routes.
var roles = []string{"nobody", "guest", "user", "staff"}

// route is a call and the statuses that it answers each role with. {who} in it is the role.
type route struct {
	method, path, body string
	want               [4]int
}

// The rooms of the table: "general" is for guests too, "lounge" for people with an account, "warroom" for
// staff, and there is no "none". Message 1 of lounge is the user's, of general the guest's.
var routes = []route{
	{"GET", "/api/rooms", "", [4]int{200, 200, 200, 200}},
	{"POST", "/api/rooms", `{"slug":"of-{who}","name":"Of {who}"}`, [4]int{401, 403, 201, 201}},
	{"POST", "/api/rooms", `{"slug":"back-{who}","name":"Back","staff_only":true}`, [4]int{401, 403, 403, 201}},
	{"POST", "/api/rooms", `{"slug":"Not a slug","name":"x"}`, [4]int{401, 403, 400, 400}},

	{"GET", "/api/rooms/:slug general", "", [4]int{200, 200, 200, 200}},
	{"GET", "/api/rooms/:slug lounge", "", [4]int{404, 404, 200, 200}},
	{"GET", "/api/rooms/:slug warroom", "", [4]int{404, 404, 404, 200}},
	{"GET", "/api/rooms/:slug none", "", [4]int{404, 404, 404, 404}},
	{"PATCH", "/api/rooms/:slug general", `{"description":"by {who}"}`, [4]int{401, 403, 403, 200}},
	{"PATCH", "/api/rooms/:slug warroom", `{"description":"by {who}"}`, [4]int{401, 404, 404, 200}},
	{"PATCH", "/api/rooms/:slug none", `{"description":"by {who}"}`, [4]int{401, 404, 404, 404}},

	{"GET", "/api/rooms/:slug/messages general", "", [4]int{200, 200, 200, 200}},
	{"GET", "/api/rooms/:slug/messages lounge", "", [4]int{404, 404, 200, 200}},
	{"GET", "/api/rooms/:slug/messages warroom", "", [4]int{404, 404, 404, 200}},
	{"GET", "/api/rooms/:slug/messages none", "", [4]int{404, 404, 404, 404}},
	{"GET", "/api/rooms/:slug/messages?after=-1 general", "", [4]int{400, 400, 400, 400}},
	{"POST", "/api/rooms/:slug/messages general", `{"body":"hi","nonce":"n-{who}"}`, [4]int{401, 201, 201, 201}},
	{"POST", "/api/rooms/:slug/messages lounge", `{"body":"hi","nonce":"n-{who}"}`, [4]int{401, 404, 201, 201}},
	{"POST", "/api/rooms/:slug/messages warroom", `{"body":"hi","nonce":"n-{who}"}`, [4]int{401, 404, 404, 201}},
	{"POST", "/api/rooms/:slug/messages none", `{"body":"hi","nonce":"n-{who}"}`, [4]int{401, 404, 404, 404}},
	{"PATCH", "/api/rooms/:slug/messages/:id lounge 1", `{"body":"changed"}`, [4]int{401, 404, 200, 403}},
	{"PATCH", "/api/rooms/:slug/messages/:id general 1", `{"body":"changed"}`, [4]int{401, 200, 403, 403}},
	{"PATCH", "/api/rooms/:slug/messages/:id warroom 1", `{"body":"changed"}`, [4]int{401, 404, 404, 200}},
	{"PATCH", "/api/rooms/:slug/messages/:id none 1", `{"body":"changed"}`, [4]int{401, 404, 404, 404}},
	{"DELETE", "/api/rooms/:slug/messages/:id warroom 1", "", [4]int{401, 404, 404, 200}},
	{"DELETE", "/api/rooms/:slug/messages/:id general 1", "", [4]int{401, 200, 403, 200}},
	{"DELETE", "/api/rooms/:slug/messages/:id general 999", "", [4]int{401, 404, 404, 404}},

	{"GET", "/api/rooms/:slug/events?wait=0 general", "", [4]int{200, 200, 200, 200}},
	{"GET", "/api/rooms/:slug/events?wait=0 warroom", "", [4]int{404, 404, 404, 200}},
	{"GET", "/api/rooms/:slug/events?wait=0 none", "", [4]int{404, 404, 404, 404}},
	{"GET", "/api/rooms/:slug/events?wait=0&after=999 general", "", [4]int{409, 409, 409, 409}},
	{"GET", "/poll/:slug?wait=0 general", "", [4]int{200, 200, 200, 200}},
	{"GET", "/poll/:slug?wait=0 warroom", "", [4]int{404, 404, 404, 200}},
	{"GET", "/poll/:slug?wait=0 none", "", [4]int{404, 404, 404, 404}},
	{"GET", "/sse?room=warroom", "", [4]int{400, 400, 400, 400}},
	{"GET", "/sse?room=none&after=0", "", [4]int{404, 404, 404, 404}},
	{"GET", "/ws", "", [4]int{426, 426, 426, 426}},

	{"GET", "/.well-known/jwks.json", "", [4]int{200, 200, 200, 200}},
	{"GET", "/api/auth/me", "", [4]int{401, 200, 200, 200}},
	{"POST", "/api/auth/signup", `{"username":"again-{who}","password":"correct horse staple"}`, [4]int{201, 201, 201, 201}},
	{"POST", "/api/auth/signup", `{"username":"root","password":"correct horse staple"}`, [4]int{409, 409, 409, 409}},
	{"POST", "/api/auth/login", `{"username":"root","password":"wrong"}`, [4]int{401, 401, 401, 401}},
	{"POST", "/api/auth/login", `{"username":"nobody-at-all","password":"wrong"}`, [4]int{401, 401, 401, 401}},
	{"POST", "/api/auth/guest", `{"name":"Guest of {who}"}`, [4]int{200, 200, 200, 200}},
	{"POST", "/api/auth/refresh", `{"refresh_token":"forged"}`, [4]int{401, 401, 401, 401}},
	{"POST", "/api/auth/password", `{"current":"wrong","new":"correct horse stable"}`, [4]int{401, 403, 403, 403}},
	{"GET", "/api/auth/users", "", [4]int{401, 403, 403, 200}},
	{"POST", "/api/auth/users", `{"username":"made-by-{who}","password":"correct horse staple"}`, [4]int{401, 403, 403, 201}},
	{"PATCH", "/api/auth/users/:id none", `{"staff":true}`, [4]int{401, 403, 403, 404}},
	{"DELETE", "/api/auth/users/:id none", "", [4]int{401, 403, 403, 404}},

	// What takes something away comes last.
	{"DELETE", "/api/rooms/:slug general", "", [4]int{401, 403, 403, 204}},
	{"DELETE", "/api/rooms/:slug warroom", "", [4]int{401, 404, 404, 204}},
	{"DELETE", "/api/rooms/:slug none", "", [4]int{401, 404, 404, 404}},
	{"POST", "/api/auth/logout", "", [4]int{401, 204, 204, 204}},
}

// Every route, by everybody: what each is answered, always in the error's form, and never the name of
// a room that the caller may not know of.
func TestEveryRouteForEverybody(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir())
	people := s.People(t)
	ctx := t.Context()
	for _, room := range []client.NewRoom{{Slug: "lounge", Name: "Lounge"}, {Slug: "warroom", Name: "The warroom", StaffOnly: true}} {
		if _, err := s.API.CreateRoom(ctx, people["staff"].AccessToken, room); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []struct{ who, room string }{{"user", "lounge"}, {"guest", "general"}, {"staff", "warroom"}} {
		s.Call(t, "POST", "/api/rooms/"+m.room+"/messages", people[m.who].AccessToken, `{"body":"first","nonce":"first"}`)
	}
	tried := map[string]bool{}
	for _, r := range routes {
		pattern, arguments, _ := strings.Cut(r.path, " ")
		bare, _, _ := strings.Cut(pattern, "?")
		tried[r.method+" "+bare] = true
		path := pattern
		for argument := range strings.FieldsSeq(arguments) {
			at := strings.Index(path, ":")
			end := at + len(path[at:])
			if stop := strings.IndexAny(path[at:], "/?"); stop >= 0 {
				end = at + stop
			}
			path = path[:at] + argument + path[end:]
		}
		for i, who := range roles {
			body := strings.ReplaceAll(r.body, "{who}", who)
			got := s.Call(t, r.method, path, people[who].AccessToken, body)
			where := fmt.Sprintf("%s %s %s by %s", r.method, path, body, who)
			if got.Status != r.want[i] {
				t.Errorf("%s answers %d %s, want %d", where, got.Status, got.Body, r.want[i])
			}
			if got.Status >= 400 && got.Code() == "" {
				t.Errorf("%s: an error without its form: %s", where, got.Body)
			}
			if who != "staff" && strings.Contains(got.Body, "warroom") {
				t.Errorf("%s tells of staff's room: %s", where, got.Body)
			}
			if got.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: headers %v", where, got.Header)
			}
		}
	}
	for _, known := range s.App.GetRoutes(true) {
		if strings.HasPrefix(known.Path, "/api/") || strings.HasPrefix(known.Path, "/poll/") || known.Path == "/ws" || known.Path == "/sse" {
			if known.Method != http.MethodHead && !tried[known.Method+" "+known.Path] {
				t.Errorf("%s %s is not in the table", known.Method, known.Path)
			}
		}
	}
}

// A room that one may not know of is answered exactly as one that there is not.
func TestHiddenRoomsAnswerAsNone(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir())
	people := s.People(t)
	room := client.NewRoom{Slug: "warroom", Name: "The warroom", StaffOnly: true}
	if _, err := s.API.CreateRoom(t.Context(), people["staff"].AccessToken, room); err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if !strings.HasSuffix(strings.TrimSuffix(r.path, " 1"), " warroom") {
			continue
		}
		pattern, _, _ := strings.Cut(r.path, " ")
		pattern = strings.ReplaceAll(pattern, ":id", "1")
		for _, who := range []string{"nobody", "guest", "user"} {
			hidden := s.Call(t, r.method, strings.ReplaceAll(pattern, ":slug", "warroom"), people[who].AccessToken, r.body)
			none := s.Call(t, r.method, strings.ReplaceAll(pattern, ":slug", "nowroom"), people[who].AccessToken, r.body)
			for _, varying := range []string{"X-Request-Id", "Date"} {
				hidden.Header.Del(varying)
				none.Header.Del(varying)
			}
			if fmt.Sprint(hidden) != fmt.Sprint(none) {
				t.Errorf("%s %s by %s:\n  hidden %v\n  none   %v", r.method, pattern, who, hidden, none)
			}
		}
	}
}

func TestUnknownPathsAndMethodsHaveTheErrorsForm(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir())
	for call, want := range map[string]string{
		"GET /nope":                 "404 not_found",
		"GET /api/nope":             "404 not_found",
		"PUT /api/rooms/general":    "405 bad_request",
		"POST /api/auth/me":         "405 bad_request",
		"GET /internal/append":      "404 not_found",
		"POST /internal/append":     "404 not_found",
		"POST /internal/lobby":      "404 not_found",
		"GET /metrics":              "404 not_found",
		"GET /api/rooms/general%00": "404 not_found",
		"GET /api/rooms/..%2fstaff": "404 not_found",
	} {
		method, path, _ := strings.Cut(call, " ")
		got := s.Call(t, method, path, "", "")
		if fmt.Sprint(got.Status, " ", got.Code()) != want {
			t.Errorf("%s: %d %s, want %s", call, got.Status, got.Body, want)
		}
	}
	form := s.Call(t, "POST", "/api/auth/login", "", "username=root&password=x", "Content-Type: application/x-www-form-urlencoded")
	if form.Status != 415 || form.Code() != "bad_request" {
		t.Errorf("a form: %d %s", form.Status, form.Body)
	}
}
