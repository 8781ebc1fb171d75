package overload_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/localcluster"
	"github.com/parley-chat/parley/test/servertest"
)

// patience is how long a test waits for a condition.
const patience = 30 * time.Second

// eventually waits for a condition.
func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !met() {
		if time.Now().After(deadline) {
			t.Fatal("not within", patience, ":", what)
		}
		servertest.Pause(t, 10*time.Millisecond)
	}
}

// gauge is the sum of a metric's series.
func gauge(t *testing.T, s *servertest.Server, name string) (sum float64) {
	t.Helper()
	families, err := s.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return sum
}

// maskedFrame is a frame of a client, masked by nothing.
func maskedFrame(first byte, payload string) []byte {
	return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

// Frames of every kind count, before and after a token was shown: pongs, pings, and the empty fragments of a
// message that never ends.
func TestAFloodOfFramesOfAnyKindIsCut(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), "PARLEY_LIMIT_FRAMES=0.001", "PARLEY_LIMIT_FRAMES_BURST=50")
	user := s.People(t)["user"].AccessToken
	for name, frame := range map[string][]byte{
		"pongs":           maskedFrame(0x8a, ""),
		"pings":           maskedFrame(0x89, "x"),
		"empty fragments": maskedFrame(0x00, ""),
		"short fragments": maskedFrame(0x00, "x"),
	} {
		for _, token := range []string{"", user} {
			var socket *servertest.Socket
			if token == "" {
				socket, _ = servertest.DialRaw(t, s)
			} else {
				socket = servertest.SignedIn(t, s, token)
			}
			flood := bytes.Repeat(frame, 100)
			if frame[0] == 0 {
				flood = append(maskedFrame(0x01, ""), flood...)
			}
			if _, err := socket.Conn.NetConn().Write(flood); err != nil {
				t.Fatal(err)
			}
			if got := socket.ClosedWith(); got != 4429 {
				t.Errorf("%s, token %t: closed with %v", name, token != "", got)
			}
		}
	}
}

// An address has one budget for the frames of all its sockets that have shown no token.
func TestFramesBeforeATokenCountPerAddress(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), "PARLEY_LIMIT_FRAMES_EARLY=0.001", "PARLEY_LIMIT_FRAMES_EARLY_BURST=5")
	for range 5 {
		socket, _ := servertest.DialRaw(t, s)
		socket.Gets(`{"type":"join","id":1,"room":"general"}`, "unauthenticated")
	}
	socket, _ := servertest.DialRaw(t, s)
	socket.Write(`{"type":"join","id":1,"room":"general"}`)
	if got := socket.ClosedWith(); got != 4429 {
		t.Error("closed with", got)
	}
}

// Whoever has too many open is refused before the upgrade, or by a frame where only that tells who it is.
func TestSocketsOpenAtOnce(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), "PARLEY_LIMIT_OPEN_SOCKETS=2", "PARLEY_LIMIT_OPEN_SOCKETS_ADDRESS=4")
	who := s.People(t)
	user := who["user"].AccessToken
	first := servertest.SignedIn(t, s, user)
	servertest.SignedIn(t, s, user)
	if _, refused := servertest.DialRaw(t, s, "Authorization: Bearer "+user); refused != http.StatusTooManyRequests {
		t.Error("a third socket of one user:", refused)
	}
	third, _ := servertest.DialRaw(t, s)
	got := third.Gets(`{"type":"auth","id":1,"token":`+servertest.Quoted(user)+`}`, "rate_limited")
	if closed := third.ClosedWith(); closed != 4429 || got["retry_after_ms"] == nil {
		t.Error("a third socket of one user, by a frame:", got, closed)
	}
	_ = first.Conn.Close()
	eventually(t, "the places are free again", func() bool { return gauge(t, s, "parley_edge_connections") == 1 })
	servertest.SignedIn(t, s, user)
	servertest.SignedIn(t, s, who["guest"].AccessToken)
	if _, refused := servertest.DialRaw(t, s); refused != 0 { // a stranger counts as long as it waits
		t.Fatal(refused)
	}
	eventually(t, "four are open", func() bool { return gauge(t, s, "parley_edge_connections") == 4 })
	if _, refused := servertest.DialRaw(t, s); refused != http.StatusTooManyRequests {
		t.Error("a fifth socket of one address:", refused)
	}
}

func TestPollsAndStreamsOpenAtOnce(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), "PARLEY_LIMIT_OPEN_POLLS=1", "PARLEY_LIMIT_OPEN_POLLS_ADDRESS=2", "PARLEY_LIMIT_OPEN_STREAMS=1", "PARLEY_LIMIT_OPEN_STREAMS_ADDRESS=2")
	who := s.People(t)
	for _, path := range []string{"/api/rooms/general/events?wait=60", "/sse?room=general&after=0"} {
		before := gauge(t, s, "parley_edge_followers")
		for i, who := range []string{who["user"].AccessToken, who["guest"].AccessToken} {
			hold(t, s, path, who)
			eventually(t, "it is open", func() bool { return gauge(t, s, "parley_edge_followers") == before+float64(i+1) })
			if a := s.Call(t, "GET", path, who, ""); a.Status != http.StatusTooManyRequests || !strings.Contains(a.Body, "retry_after_ms") {
				t.Errorf("a second %s of one user: %d %s", path, a.Status, a.Body)
			}
		}
		if a := s.Call(t, "GET", path, who["staff"].AccessToken, ""); a.Status != http.StatusTooManyRequests {
			t.Errorf("a third %s of one address: %d %s", path, a.Status, a.Body)
		}
	}
}

// hold asks for something and leaves it open.
func hold(t *testing.T, s *servertest.Server, path, token string) *net.TCPConn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: parley\r\nAuthorization: Bearer %s\r\n\r\n", path, token); err != nil {
		t.Fatal(err)
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		t.Fatalf("%T", conn)
	}
	return tcp
}

// Polls and streams whose clients are gone, by a reset or by a close, end soon, and not when they would have had
// something to say.
func TestPollsAndStreamsOfClientsThatAreGoneEnd(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), "PARLEY_LIMIT_POLLS=0")
	user := s.People(t)["user"].AccessToken
	var conns []*net.TCPConn
	for range 20 {
		conns = append(conns, hold(t, s, "/poll/general?wait=60", user), hold(t, s, "/sse?room=general&after=0", user))
	}
	eventually(t, "all are open", func() bool { return gauge(t, s, "parley_edge_followers") == 40 })
	began := time.Now()
	for i, conn := range conns {
		if i%4 < 2 {
			_ = conn.SetLinger(0) // reset
		}
		_ = conn.Close()
	}
	eventually(t, "all have ended", func() bool { return gauge(t, s, "parley_edge_followers") == 0 })
	if took := time.Since(began); took > servertest.LateAtLast {
		t.Error("they were held for", took)
	}
}

// A script that is refused and asks again at once is answered slowly.
func TestWhoAsksTooOftenIsAnsweredSlowly(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), "PARLEY_LIMIT_READS_ADDRESS=0.001", "PARLEY_LIMIT_READS_ADDRESS_BURST=1")
	for n, want := range []int{http.StatusOK, http.StatusTooManyRequests, http.StatusTooManyRequests} {
		began := time.Now()
		if a := s.Call(t, http.MethodGet, "/api/rooms", "", ""); a.Status != want || n > 0 && time.Since(began) < 200*time.Millisecond {
			t.Error(n, a.Status, time.Since(began))
		}
	}
}

// A client that goes on sending what is refused, without waiting as it is told, is cut.
func TestWhoGoesOnSendingWhatIsRefusedIsCut(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), "PARLEY_LIMIT_SENDS=0.001", "PARLEY_LIMIT_SENDS_BURST=1", "PARLEY_LIMIT_FRAMES=0.001", "PARLEY_LIMIT_FRAMES_BURST=100")
	socket := servertest.SignedIn(t, s, s.People(t)["user"].AccessToken)
	socket.Gets(`{"type":"join","id":1,"room":"general"}`, "joined")
	go func() { // 12 frames, of which 10 are refused, would not be too many by themselves
		for i := range 12 {
			frame := fmt.Appendf(nil, `{"type":"send","id":%d,"room":"general","body":"x","nonce":"%d"}`, 2+i, i)
			socket.Watched.Wrote(frame)
			_ = socket.Conn.WriteMessage(websocket.TextMessage, frame)
		}
	}()
	refused := 0
	got := socket.Read()
	for ; got["closed"] == nil && got["broken"] == nil; got = socket.Read() {
		if got["code"] == "rate_limited" {
			refused++
		}
	}
	if got["closed"] != 4429 || refused == 0 {
		t.Error(refused, got)
	}
}

// Sends have limits per address and per room, in messages and in bytes.
func TestSendsOfAnAddressAndToARoomAreLimited(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"SENDS_ADDRESS", "SENDS_ROOM", "BYTES_ADDRESS", "BYTES_ROOM"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			burst := "2" // messages
			if strings.HasPrefix(name, "BYTES") {
				burst = "40"
			}
			s := servertest.Serve(t, t.TempDir(), "PARLEY_LIMIT_"+name+"=0.001", "PARLEY_LIMIT_"+name+"_BURST="+burst)
			who := s.People(t)
			if _, err := s.API.CreateRoom(t.Context(), who["staff"].AccessToken, client.NewRoom{Slug: "side", Name: "Side", AllowGuests: true}); err != nil {
				t.Fatal(err)
			}
			body := servertest.Quoted(strings.Repeat("x", 20))
			socket, other := servertest.SignedIn(t, s, who["user"].AccessToken), servertest.SignedIn(t, s, who["guest"].AccessToken)
			for _, r := range []*servertest.Socket{socket, other} {
				r.Gets(`{"type":"join","id":1,"room":"general"}`, "joined")
				r.Gets(`{"type":"join","id":2,"room":"side"}`, "joined")
			}
			socket.Gets(`{"type":"send","id":3,"room":"general","nonce":"a","body":`+body+`}`, "sent")
			other.Gets(`{"type":"send","id":3,"room":"general","nonce":"b","body":`+body+`}`, "sent")
			got := socket.Gets(`{"type":"send","id":4,"room":"general","nonce":"c","body":`+body+`}`, "rate_limited")
			if got["retry_after_ms"] == nil {
				t.Error(got)
			}
			elsewhere := "sent" // another room is another budget
			if strings.HasSuffix(name, "ADDRESS") {
				elsewhere = "rate_limited"
			}
			other.Gets(`{"type":"send","id":4,"room":"side","nonce":"d","body":`+body+`}`, elsewhere)
		})
	}
}

// What a handshake may look like, line by line.
func TestHandshakeHeaders(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir())
	key := "Sec-WebSocket-Key: " + base64.StdEncoding.EncodeToString(make([]byte, 16))
	const upgrade, version = "Upgrade: websocket", "Sec-WebSocket-Version: 13"
	for name, c := range map[string]struct {
		lines []string
		want  int
	}{
		"usual":                 {[]string{"Connection: Upgrade", upgrade, version, key}, 101},
		"a list":                {[]string{"Connection: keep-alive, Upgrade", upgrade, version, key}, 101},
		"two lines":             {[]string{"Connection: keep-alive", "Connection: Upgrade", upgrade, version, key}, 101},
		"two lines, turned":     {[]string{"Connection: Upgrade", "Connection: keep-alive", upgrade, version, key}, 101},
		"two protocols":         {[]string{"Connection: upgrade", "Upgrade: h2c", "Upgrade: WebSocket", version, key}, 101},
		"no upgrade":            {[]string{"Connection: keep-alive", upgrade, version, key}, 426},
		"another protocol":      {[]string{"Connection: Upgrade", "Upgrade: h2c", version, key}, 426},
		"version 8":             {[]string{"Connection: Upgrade", upgrade, "Sec-WebSocket-Version: 8", key}, 426},
		"no version":            {[]string{"Connection: Upgrade", upgrade, key}, 426},
		"key abc":               {[]string{"Connection: Upgrade", upgrade, version, "Sec-WebSocket-Key: abc"}, 400},
		"key of 15 bytes":       {[]string{"Connection: Upgrade", upgrade, version, "Sec-WebSocket-Key: " + base64.StdEncoding.EncodeToString(make([]byte, 15))}, 400},
		"no key":                {[]string{"Connection: Upgrade", upgrade, version}, 400},
		"key that is no base64": {[]string{"Connection: Upgrade", upgrade, version, "Sec-WebSocket-Key: ************************"}, 400},
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: parley\r\n"+strings.Join(c.lines, "\r\n")+"\r\n\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(name, err)
		}
		if response.StatusCode != c.want || c.want == 426 && response.Header.Get("Sec-WebSocket-Version") != "13" {
			t.Errorf("%s: %s %v, want %d", name, response.Status, response.Header, c.want)
		}
		_, _ = response.Body.Close(), conn.Close()
	}
	families, err := s.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "parley_edge_connects_total" && strings.Contains(family.String(), "internal") {
			t.Error("one was counted as our own mistake:", family)
		}
	}
}

// Every body that is legal fits a frame, however JSON writes it, and comes back: by message, join, history and edit.
func TestTheLongestBodiesAreSentAndRead(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir(), localcluster.WithoutLimits()...)
	socket := servertest.SignedIn(t, s, s.People(t)["user"].AccessToken)
	socket.Gets(`{"type":"join","id":1,"room":"general"}`, "joined")
	body := strings.Repeat(`\u001b`, chat.MaxBodyBytes)
	const messages = 20
	for i := range messages {
		socket.Gets(fmt.Sprintf(`{"type":"send","id":%d,"room":"general","nonce":"%d","body":"%s"}`, 10+i, i, body), "sent")
	}
	socket.Gets(`{"type":"edit","id":2,"room":"general","message":1,"body":"`+body+`"}`, "ok")
	want := strings.Repeat("\x1b", chat.MaxBodyBytes)
	check := func(what string, got map[string]any) (ids []float64) {
		t.Helper()
		list, _ := got["messages"].([]any)
		for _, m := range list {
			m, _ := m.(map[string]any)
			id, _ := m["id"].(float64)
			ids = append(ids, id)
			if m["body"] != want {
				t.Errorf("%s: another body of %d bytes", what, len(fmt.Sprint(m["body"])))
			}
		}
		if len(ids) == 0 {
			t.Fatalf("%s: %.200v", what, got)
		}
		return ids
	}
	check("joined", socket.Gets(`{"type":"join","id":3,"room":"general"}`, "joined"))
	seen := 0
	for before := float64(messages + 1); before > 1; {
		page := socket.Gets(fmt.Sprintf(`{"type":"history","id":4,"room":"general","before":%.0f,"limit":100}`, before), "history")
		ids := check("history", page)
		seen += len(ids)
		before = ids[len(ids)-1]
	}
	if seen != messages {
		t.Error("history showed", seen, "of", messages)
	}
	socket.Gets(`{"type":"join","id":5,"room":"general","after":0}`, "joined") // replayed, or said to be too much
}

// A message that is too long is refused as it begins, and whoever goes on writing it has a moment to see why.
func TestATooLongMessageThatNeverEnds(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir())
	socket := servertest.SignedIn(t, s, s.People(t)["user"].AccessToken)
	conn := socket.Conn.NetConn()
	if _, err := conn.Write([]byte{0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if got := socket.ClosedWith(); got != 1009 {
		t.Error("closed with", got)
	}
	_ = conn.SetWriteDeadline(time.Time{}) // the client's goodbye has left one
	page := make([]byte, 1<<10)
	eventually(t, "the connection has ended", func() bool {
		_, err := conn.Write(page)
		return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
	})
}
