package httpapi

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/rooms/internal/postgres"
	"github.com/parley-chat/parley/services/rooms/internal/room"
	"github.com/parley-chat/parley/services/rooms/internal/storetest"
)

// fuzzed is a server on PostgreSQL, which refuses texts that SQLite takes, with a room and a message.
func fuzzed(f *testing.F) server {
	f.Helper()
	pool, err := database.OpenPostgres(f.Context(), storetest.Postgres(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(pool.Close)
	logs, err := postgres.Open(f.Context(), pool, room.NewLog())
	if err != nil {
		f.Fatal(err)
	}
	s := newServerOn(f, storetest.NewStore(logs, &database.Database{Postgres: pool}), Limits{})
	s.want(201, "ada", "POST", "/api/rooms", `{"slug":"one","name":"One"}`)
	s.want(201, "ada", "POST", "/api/rooms/one/messages", `{"body":"one","nonce":"one"}`)
	return s
}

// inForm holds that an answer is no failure of ours and has the form of the contract.
func (s server) inForm(who, method, path, body string) (status int, text string) {
	s.t.Helper()
	status, text = s.call(who, method, path, body)
	var failure webapi.Failure
	switch {
	case status >= 500, status != 204 && !json.Valid([]byte(text)):
		s.t.Errorf("%s %s %q: %d %s", method, path, body, status, text)
	case status >= 400 && (json.Unmarshal([]byte(text), &failure) != nil || failure.Error.Code == "" || failure.Error.Message == ""):
		s.t.Errorf("%s %s %q: no form of an error: %s", method, path, body, text)
	}
	return status, text
}

// Anything may be sent to every route, as a stranger and as an edge.
func FuzzCalls(f *testing.F) {
	s := fuzzed(f)
	f.Fuzz(func(t *testing.T, body string) {
		s := server{t, s.app} //nolint:govet // the same server, failing this test
		for _, c := range []struct{ who, method, path string }{
			{"ada", "POST", "/api/rooms"},
			{"ada", "PATCH", "/api/rooms/one"},
			{"ada", "POST", "/api/rooms/one/messages"},
			{"ada", "PATCH", "/api/rooms/one/messages/1"},
			{"bob", "DELETE", "/api/rooms/one/messages/1"},
			{credential, "POST", roomsapi.PathAppend},
			{credential, "POST", roomsapi.PathAccess},
			{credential, "POST", roomsapi.PathTail},
			{credential, "POST", roomsapi.PathEntries},
			{credential, "POST", roomsapi.PathHistory},
			{credential, "POST", roomsapi.PathHeads},
			{credential, "POST", lobby.PathEvents},
		} {
			s.inForm(c.who, c.method, c.path, body)
		}
	})
}

// Anything may stand in a path or a query: what is no slug names no room, what is no number is refused.
func FuzzQueries(f *testing.F) {
	s := fuzzed(f)
	f.Fuzz(func(t *testing.T, slug, search, cursor, before, after, most string) {
		s := server{t, s.app} //nolint:govet // the same server, failing this test
		path := "/api/rooms/" + url.PathEscape(slug)
		if strings.Trim(slug, ".") != "" && slug != "one" && !strings.ContainsAny(slug, "/\x00") {
			for _, c := range []struct{ method, path string }{{"GET", path}, {"DELETE", path}, {"GET", path + "/messages"}} {
				if status, text := s.inForm("ada", c.method, c.path, ""); status < 400 && !chat.Slug(slug).Valid() {
					t.Errorf("%s %q: %d %s", c.method, slug, status, text)
				}
			}
		}
		q := url.QueryEscape
		s.inForm("", "GET", "/api/rooms?q="+q(search), "")
		s.inForm("", "GET", "/api/rooms?q="+q(search)+"&cursor="+q(cursor)+"&limit="+q(most), "")
		status, text := s.inForm("ada", "GET", "/api/rooms/one/messages?before="+q(before)+"&after="+q(after)+"&limit="+q(most), "")
		var page struct {
			Messages []chat.Message
			Head     chat.Seq
		}
		if status == 200 && (json.Unmarshal([]byte(text), &page) != nil || len(page.Messages) > 100 || page.Head < 1) {
			t.Errorf("before %q after %q limit %q: %s", before, after, most, text)
		}
	})
}
