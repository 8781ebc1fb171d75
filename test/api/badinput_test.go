package api_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/servertest"
)

// Bad frames are answered with an error, and the socket stays open.
func TestBadFramesAreAnswered(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), "PARLEY_LIMIT_SENDS=0")
	b := servertest.StandBy(t, s)
	people := s.People(t)
	if _, err := s.API.CreateRoom(t.Context(), people["staff"].AccessToken, client.NewRoom{Slug: "warroom", Name: "W", StaffOnly: true}); err != nil {
		t.Fatal(err)
	}
	socket := servertest.SignedIn(t, s, people["user"].AccessToken)
	socket.Write(`{"type":"join","id":1,"room":"general"}`)
	if got := socket.Answer(1); got["type"] != "joined" {
		t.Fatal(got)
	}
	first, err := s.API.Send(t.Context(), people["guest"].AccessToken, "general", client.Outgoing{Body: "not yours"})
	if err != nil {
		t.Fatal(err)
	}
	send := func(fields string) string {
		return `{"type":"send","id":7,"room":"general","nonce":"n",` + fields + `}`
	}
	nest := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	for name, c := range map[string]struct {
		frame string
		code  chat.Code
		noID  bool // the answer can't name the command
	}{
		"broken JSON":         {`{"type":"send","id":7`, "bad_request", true},
		"no JSON":             {`hello`, "bad_request", true},
		"nothing":             {``, "bad_request", true},
		"an array":            {`[{"type":"send"}]`, "bad_request", true},
		"two objects":         {`{"type":"typing"}{"type":"typing"}`, "bad_request", true},
		"no type":             {`{"id":7}`, "bad_request", false},
		"unknown type":        {`{"type":"teleport","id":7}`, "bad_request", false},
		"type of a number":    {`{"type":5,"id":7}`, "bad_request", false},
		"room of a number":    {`{"type":"join","id":7,"room":5}`, "bad_request", false},
		"id of a text":        {`{"type":"join","id":"seven","room":"general"}`, "bad_request", true},
		"deep nesting":        {`{"type":"join","id":7,"room":"general","x":` + nest + `}`, "bad_request", false},
		"unknown room":        {`{"type":"join","id":7,"room":"nowhere"}`, "not_found", false},
		"hidden room":         {`{"type":"join","id":7,"room":"warroom"}`, "not_found", false},
		"room that can't be":  {`{"type":"join","id":7,"room":"../etc"}`, "not_found", false},
		"no room":             {`{"type":"join","id":7}`, "bad_request", false},
		"negative after":      {`{"type":"join","id":7,"room":"general","after":-1}`, "bad_request", false},
		"fraction":            {`{"type":"join","id":7,"room":"general","after":1.5}`, "bad_request", false},
		"no body":             {send(`"body":""`), "bad_request", false},
		"blank body":          {send(`"body":" \n\t "`), "bad_request", false},
		"NUL":                 {send(`"body":"a\u0000b"`), "bad_request", false},
		"lone surrogate":      {send(`"body":"\ud800"`), "bad_request", false},
		"body too large":      {send(`"body":"` + strings.Repeat("x", chat.MaxBodyBytes+1) + `"`), "too_large", false},
		"nonce too long":      {`{"type":"send","id":7,"room":"general","body":"x","nonce":"` + strings.Repeat("n", 65) + `"}`, "bad_request", false},
		"no nonce":            {`{"type":"send","id":7,"room":"general","body":"x"}`, "bad_request", false},
		"reply to nothing":    {send(`"body":"x","reply_to":999`), "not_found", false},
		"not in the room":     {`{"type":"send","id":7,"room":"nowhere","body":"x","nonce":"n"}`, "forbidden", false},
		"edit of another's":   {fmt.Sprintf(`{"type":"edit","id":7,"room":"general","message":%d,"body":"mine now"}`, first.ID), "forbidden", false},
		"delete of another's": {fmt.Sprintf(`{"type":"delete","id":7,"room":"general","message":%d}`, first.ID), "forbidden", false},
		"delete of nothing":   {`{"type":"delete","id":7,"room":"general","message":999}`, "not_found", false},
		"renewal, bad token":  {`{"type":"auth","id":7,"token":"forged"}`, "unauthenticated", false},
	} {
		socket.Write(c.frame)
		var got map[string]any
		for got = socket.Read(); got["seq"] != nil || got["type"] == "entered"; got = socket.Read() { // what others say
		}
		if got["type"] != "error" || got["code"] != string(c.code) || c.noID != (got["id"] == nil) {
			t.Errorf("%s: %v", name, got)
		}
	}
	socket.Write(`{"type":"typing","room":"nowhere"}`)
	socket.Write(`{"type":"seen","room":"general","message":-1}`)
	socket.Write(`{"type":"send","id":8,"room":"general","body":"` + "\u202e after all that \\u0001" + `","nonce":"last"}`)
	if got := socket.Answer(8); got["type"] != "sent" {
		t.Error("the socket is of no use anymore:", got)
	}
	b.Unharmed()
}

// What closes a socket, and with which code.
func TestWhatClosesASocket(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), "PARLEY_EDGE_AUTH_WITHIN=500ms")
	b := servertest.StandBy(t, s)
	good := s.People(t)["user"].AccessToken
	for name, c := range map[string]struct {
		kind  int
		frame string
		code  int
	}{
		"binary":        {websocket.BinaryMessage, `{"type":"typing"}`, 1003},
		"invalid UTF-8": {websocket.TextMessage, "{\"type\":\"typing\",\"room\":\"\xff\xfe\"}", 1007},
		"frame of 1 MB": {websocket.TextMessage, `{"type":"typing","x":"` + strings.Repeat("x", 1<<20) + `"}`, 1009},
	} {
		socket := servertest.SignedIn(t, s, good)
		_ = socket.Conn.WriteMessage(c.kind, []byte(c.frame)) // it may be cut while it writes
		if got := socket.ClosedWith(); got != c.code {
			t.Errorf("%s: closed with %v, want %d", name, got, c.code)
		}
	}
	for name, frame := range map[string]string{
		"nothing":       "",
		"a bad token":   `{"type":"auth","id":1,"token":"forged"}`,
		"no token":      `{"type":"auth","id":1}`,
		"a join first":  `{"type":"join","id":1,"room":"general"}`,
		"broken JSON":   `{`,
		"expired token": `{"type":"auth","id":1,"token":"` + sign(t, "EdDSA", time.Now().Add(-time.Hour)) + `"}`,
	} {
		socket, refused := servertest.DialRaw(t, s)
		if refused != 0 {
			t.Fatal(refused)
		}
		if frame != "" {
			socket.Write(frame)
		}
		if got := socket.ClosedWith(); got != 4401 {
			t.Errorf("%s instead of auth: closed with %v", name, got)
		}
	}
	b.Unharmed()
}

// Who is let in, by token and origin, before there is a socket.
func TestHandshakes(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), "PARLEY_TOKEN_LIFETIME=2s", "PARLEY_ORIGINS=https://embed.example.org")
	signIn := s.People(t)["user"]
	good := signIn.AccessToken
	cookie := "Cookie: parley_session=" + good
	parts := strings.Split(good, ".")
	for name, c := range map[string]struct {
		headers []string
		want    int
	}{
		"nobody":                 {nil, 0},
		"bearer":                 {[]string{"Authorization: Bearer " + good}, 0},
		"bearer, foreign origin": {[]string{"Authorization: Bearer " + good, "Origin: https://evil.example"}, 0},
		"nonsense":               {[]string{"Authorization: Bearer nonsense"}, 401},
		"another scheme":         {[]string{"Authorization: Basic " + good}, 0},
		"signature cut":          {[]string{"Authorization: Bearer " + parts[0] + "." + parts[1] + "."}, 401},
		"signed by nobody":       {[]string{"Authorization: Bearer " + sign(t, "none", time.Now().Add(time.Hour))}, 401},
		"signed by a stranger":   {[]string{"Authorization: Bearer " + sign(t, "EdDSA", time.Now().Add(time.Hour))}, 401},
		"claims of another":      {[]string{"Authorization: Bearer " + parts[0] + "." + strings.Split(sign(t, "EdDSA", time.Now().Add(time.Hour)), ".")[1] + "." + parts[2]}, 401},
		"own origin":             {[]string{cookie, "Origin: " + s.URL}, 0},
		"allowed origin":         {[]string{cookie, "Origin: https://embed.example.org"}, 0},
		"no origin":              {[]string{cookie}, 403},
		"foreign origin":         {[]string{cookie, "Origin: https://evil.example"}, 403},
		"null origin":            {[]string{cookie, "Origin: null"}, 403},
		"origin with a suffix":   {[]string{cookie, "Origin: " + s.URL + ".evil.example"}, 403},
		"origin with a prefix":   {[]string{cookie, "Origin: https://evil-embed.example.org"}, 403},
		"origin on another port": {[]string{cookie, "Origin: http://127.0.0.1:1"}, 403},
		"bad cookie":             {[]string{"Cookie: parley_session=nonsense", "Origin: " + s.URL}, 401},
	} {
		if _, got := servertest.DialRaw(t, s, c.headers...); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	// A socket does not outlive its token.
	socket := servertest.SignedIn(t, s, good)
	if got := socket.ClosedWith(); got != 4401 {
		t.Errorf("after its token ended: closed with %v", got)
	}
	if _, got := servertest.DialRaw(t, s, "Authorization: Bearer "+good); got != 401 {
		t.Errorf("an expired token: %d", got)
	}
}

// sign makes a token of our own making.
func sign(t *testing.T, algorithm string, expires time.Time) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := encode(map[string]any{"alg": algorithm, "typ": "at+jwt", "kid": "k"}) + "." + encode(map[string]any{
		"iss": "parley", "aud": "parley", "sub": "u", "sid": "s", "name": "Root", "kind": "user", "staff": true, "tenant": "default", "gen": 1,
		"iat": expires.Add(-time.Hour).Unix(), "nbf": expires.Add(-time.Hour).Unix(), "exp": expires.Unix(),
	})
	if algorithm == "none" {
		return signed + "."
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(signed)))
}

// 1,000 sends a second: what is over the limit is refused and not stored, and says when to come
// again; who goes on regardless is cut.
func TestFlood(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), "PARLEY_LIMIT_SENDS=0.001", "PARLEY_LIMIT_SENDS_BURST=50", "PARLEY_LIMIT_FRAMES=0.001", "PARLEY_LIMIT_FRAMES_BURST=12000")
	b := servertest.StandBy(t, s)
	user := s.People(t)["user"]
	if _, err := s.API.CreateRoom(t.Context(), user.AccessToken, client.NewRoom{Slug: "flood", Name: "Flood"}); err != nil {
		t.Fatal(err)
	}
	socket := servertest.SignedIn(t, s, user.AccessToken)
	socket.Write(`{"type":"join","id":1,"room":"flood"}`)
	socket.Answer(1)
	const sends = 1000
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := range sends {
			socket.Write(fmt.Sprintf(`{"type":"send","id":%d,"room":"flood","body":"x","nonce":"%d"}`, 100+i, i))
		}
	})
	stored, refused, unknown := 0, 0, 0
	for stored+refused+unknown < sends {
		switch got := socket.Read(); {
		case got["type"] == "sent":
			stored++
		case got["code"] == "rate_limited" && got["retry_after_ms"] != nil:
			refused++
		case got["code"] == "unavailable": // the machine was too busy for the two seconds that the edge waits
			unknown++
		case got["type"] == "error", got["closed"] != nil, got["broken"] != nil:
			t.Fatal(got)
		}
	}
	writing.Wait()
	room, err := s.API.Room(t.Context(), user.AccessToken, "flood")
	if err != nil || int(room.Head) < stored || int(room.Head) > stored+unknown || stored+unknown != 50 {
		t.Errorf("%d sent, %d refused, of %d nobody knows, %d in the log, %v", stored, refused, unknown, room.Head, err)
	}
	writing.Go(func() {
		for range 20 * sends { // until it is cut
			if socket.Conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"typing","room":"flood"}`)) != nil {
				return
			}
		}
	})
	if got := socket.ClosedWith(); got != 4429 {
		t.Errorf("after a flood: closed with %v", got)
	}
	_ = socket.Conn.Close()
	writing.Wait()
	b.Unharmed()
}

// A reader that never reads is cut, and nobody else notices.
func TestReaderThatNeverReads(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), "PARLEY_LIMIT_SENDS=0", "PARLEY_LIMIT_SENDS_HTTP=0", "PARLEY_LIMIT_SENDS_HTTP_ADDRESS=0", "PARLEY_LIMIT_SENDS_HTTP_ROOM=0")
	b := servertest.StandBy(t, s)
	people := s.People(t)
	lazy := servertest.SignedIn(t, s, people["user"].AccessToken)
	lazy.Write(`{"type":"join","id":1,"room":"general"}`)
	lazy.Answer(1)
	body := strings.Repeat("all work and no play ", 700)
	const messages = 900 // 13 MB: more than the kernel keeps for a socket
	for i := range messages {
		if _, err := s.API.Send(t.Context(), people["staff"].AccessToken, "general", client.Outgoing{Body: body}); err != nil {
			t.Fatal(i, err)
		}
	}
	b.Unharmed()
	read := 0
	got := lazy.Read()
	for ; got["closed"] == nil && got["broken"] == nil; got = lazy.Read() {
		read++
	}
	// The goodbye may not have found room behind what the client never read.
	if code := got["closed"]; code != nil && code != 4408 && code != websocket.CloseAbnormalClosure || strings.Contains(fmt.Sprint(got["broken"]), "timeout") || read >= messages {
		t.Errorf("it was not cut: after %d messages %v", read, got)
	}
}
