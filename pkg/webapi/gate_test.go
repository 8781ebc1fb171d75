package webapi

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// patience is how long a test waits for what should come at once.
const patience = 30 * time.Second

// started serves an app with these options, and routes that tests want; the address is where.
func started(t *testing.T, o Options) (address string) {
	t.Helper()
	o.Service, o.Log, o.Registry = "test", slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	listener, err := Listen(t.Context(), "PARLEY_LISTEN", "127.0.0.1:0", Connections{}, o)
	if err != nil {
		t.Fatal(err)
	}
	app := New(o)
	echo := func(c *fiber.Ctx) error {
		var in map[string]any
		if err := Decode(c, &in); err != nil {
			return err
		}
		return c.SendString(c.Path() + " " + string(c.Request().Header.Host()))
	}
	app.All("/echo", echo)
	app.Get("/rooms/:slug", echo)
	app.Get("/large", func(c *fiber.Ctx) error { return c.Send(make([]byte, 32<<20)) })
	app.Get("/stream", func(c *fiber.Ctx) error {
		c.Context().SetBodyStreamWriter(func(w *bufio.Writer) { _, _ = w.WriteString("data: 1\n\n") })
		return nil
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- (&Server{App: app, Listener: listener, Grace: time.Millisecond}).Run(ctx, func() {}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func dialled(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	tcp, _ := conn.(*net.TCPConn)
	return tcp
}

// raw sends bytes and reads the answers until the server closes, which it is asked to.
func raw(t *testing.T, address, request string) (statuses []int, last *http.Response, body string) {
	t.Helper()
	conn := dialled(t, address)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	for {
		response, err := http.ReadResponse(reader, nil)
		if errors.Is(err, io.ErrUnexpectedEOF) && last != nil || errors.Is(err, io.EOF) {
			return statuses, last, body
		}
		if err != nil {
			if last != nil { // a reset, since something was left unread
				return statuses, last, body
			}
			t.Fatalf("%q: %v", request, err)
		}
		content, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		statuses, last, body = append(statuses, response.StatusCode), response, string(content)
		if response.StatusCode >= 400 {
			var f Failure
			if err := json.Unmarshal(content, &f); err != nil || f.Error.Code == "" || response.Header.Get("X-Request-Id") == "" || response.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%q: no error form or common headers: %q %v", request, content, response.Header)
			}
		}
	}
}

func TestWhatProxiesReadOtherwiseIsRefused(t *testing.T) {
	t.Parallel()
	address := started(t, Options{})
	const next = "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	const post = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
	for name, request := range map[string]string{
		"bare CR in a value":            "GET /echo HTTP/1.1\r\nHost: h\r\nX: a\rY: b\r\n\r\n",
		"bare CR in the target":         "GET /echo?\rx HTTP/1.1\r\nHost: h\r\n\r\n",
		"bare LF ends a line":           "GET /echo HTTP/1.1\r\nHost: h\nX: a\r\n\r\n",
		"NUL in a value":                "GET /echo HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n",
		"folded line":                   "GET /echo HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
		"folded line that is a field":   "GET /echo HTTP/1.1\r\nHost: h\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n",
		"blank before the colon":        "GET /echo HTTP/1.1\r\nHost: h\r\nX : a\r\n\r\n",
		"no name":                       "GET /echo HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n",
		"length and chunked":            post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunked and length":            post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"two lengths":                   post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"two equal lengths":             post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"a list of lengths":             post + "Content-Length: 2, 2\r\n\r\n{}",
		"a signed length":               post + "Content-Length: +2\r\n\r\n{}",
		"another coding":                post + "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunked twice":                 post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"identity coding":               post + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
		"trailer":                       post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
		"trailer of a name in the head": post + "Cookie: a=b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nCookie: a=c\r\n\r\n",
		"trailer behind no body":        post + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n\r\n",
		"announced trailer":             post + "Trailer: X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: a\r\n\r\n",
		"no host":                       "GET /echo HTTP/1.1\r\n\r\n",
		"two hosts":                     "GET /echo HTTP/1.1\r\nHost: h\r\nHost: other\r\n\r\n",
		"blank in the target":           "GET /echo x HTTP/1.1\r\nHost: h\r\n\r\n",
		"no path":                       "GET echo HTTP/1.1\r\nHost: h\r\n\r\n",
		"another protocol":              "GET /echo HTTP/3.7\r\nHost: h\r\n\r\n",
	} {
		if got, last, _ := raw(t, address, request+next); len(got) != 1 || got[0] != 400 || !last.Close {
			t.Errorf("%s: %v", name, got)
		}
	}
	for name, request := range map[string]string{
		"plain":           "GET /echo HTTP/1.1\r\nHost: h\r\nX: \ta \r\n\r\n",
		"length":          post + "Content-Length: 2\r\n\r\n{}",
		"chunked":         post + "Cookie: a=b\r\nUser-Agent: x\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\n\r\n",
		"chunked nothing": post + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"absolute form":   "GET http://h/echo HTTP/1.1\r\nHost: other\r\n\r\n",
		"query":           "GET /echo?u=http://x/y HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		if got, _, body := raw(t, address, request+next); len(got) != 2 || got[0] != 200 || got[1] != 200 || body != "/echo h" {
			t.Errorf("%s: %v %q", name, got, body)
		}
	}
	if got, _, _ := raw(t, address, "GET /echo HTTP/1.0\r\n\r\n"); len(got) != 1 || got[0] != 200 {
		t.Error("an old client:", got)
	}
}

func TestAPathIsWrittenInOneWay(t *testing.T) {
	t.Parallel()
	address := started(t, Options{})
	for path, want := range map[string]int{
		"/echo": 200, "/echo/": 404, "/Echo": 404, "/ECHO": 404, "//echo": 404, "//h/echo": 404, "//h/echo?x=://": 404, "/%65cho": 404, "/echo%2f": 404, "/./echo": 404, "/x/../echo": 404,
		"/rooms/a": 200, "/rooms/a/": 404, "/rooms/": 404, "/rooms//a": 404, "/Rooms/a": 404, "/rooms/a%2fb": 200, // one name, of no room
	} {
		if got, _, _ := raw(t, address, "GET "+path+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, want %d", path, got, want)
		}
	}
}

// The path must not decide what the host's own origin is.
func TestTheOriginIsComparedToTheHostHeader(t *testing.T) {
	t.Parallel()
	a := app(t, io.Discard)
	a.Post("/check", func(c *fiber.Ctx) error { return Browsers{}.CheckOrigin(c) })
	address := served(t, a)
	for _, target := range []string{"/check", "//evil.example/check?x=://"} {
		if got, _, _ := raw(t, address, "POST "+target+" HTTP/1.1\r\nHost: chat.example.org\r\nOrigin: https://evil.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"); len(got) != 1 || got[0] < 400 {
			t.Errorf("%s: %v", target, got)
		}
	}
}

func served(t *testing.T, a *fiber.App) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Listener(listener) }()
	t.Cleanup(func() {
		_ = a.ShutdownWithTimeout(time.Millisecond)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func zipped(t *testing.T, content []byte, times int) string {
	t.Helper()
	for range times {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		content = out.Bytes()
	}
	return string(content)
}

func TestCodedBodiesAreRefused(t *testing.T) {
	t.Parallel()
	object := []byte(`{"text":"` + strings.Repeat(" ", 4<<20) + `"}`)
	for coding, body := range map[string]string{
		"gzip": zipped(t, object, 1), "gzip, gzip, gzip": zipped(t, object, 3), "identity": "{}", "br": "{}", "deflate": "{}", "zstd": "{}", "unknown": "{}", "": "{}",
	} {
		for _, internal := range []bool{false, true} {
			a := New(Options{Service: "test", Log: quiet, Registry: prometheus.NewRegistry(), Internal: internal})
			a.Post("/echo", func(c *fiber.Ctx) error { return Decode(c, &struct{}{}) })
			response, f := do(t, a, "POST", "/echo", body, "Content-Type", "application/json", "Content-Encoding", coding)
			if response.StatusCode != http.StatusUnsupportedMediaType || f.Error.Code != "bad_request" {
				t.Errorf("%q: %d %v", coding, response.StatusCode, f)
			}
		}
	}
}

func TestOnlyOurNamesAreAnsweredTo(t *testing.T) {
	t.Parallel()
	address := started(t, Options{Hosts: Hosts{"chat.example.org", "xn--bcher-kva.example"}})
	for host, want := range map[string]int{
		"chat.example.org": 200, "chat.example.org:8000": 200, "CHAT.example.org.": 200, "xn--bcher-kva.example": 200,
		"localhost:8000": 200, "127.0.0.1:8000": 200, "[::1]:8000": 200, "[::1]": 200, "192.168.1.7": 200, "chatbox": 200, "chatbox.local:80": 200, "x.localhost": 200,
		"evil.example": 403, "evil.example:8000": 403, "chat.example.org.evil.example": 403, "evilchat.example.org": 403, "127.0.0.1.evil.example": 403, "evil.example:127.0.0.1": 403, "a.b@127.0.0.1": 403,
	} {
		got, _, body := raw(t, address, "GET /echo HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		if len(got) != 1 || got[0] != want || want == 403 && !strings.Contains(body, "PARLEY_HOSTS") {
			t.Errorf("%s: %v %s", host, got, body)
		}
	}
	if got, _, _ := raw(t, started(t, Options{Hosts: Hosts{"*"}}), "GET /echo HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n"); got[0] != 200 {
		t.Error(got)
	}
}

func TestEveryAnswerSaysToComeByTLSOnly(t *testing.T) {
	t.Parallel()
	for secure, want := range map[bool]string{true: "max-age=31536000", false: ""} {
		address := started(t, Options{Secure: secure})
		for _, request := range []string{"GET /echo", "GET /nowhere", "FROB /echo", "GET //", "GET bad", "POST /echo HTTP/1.1\r\nContent-Length: 99999999"} {
			if !strings.Contains(request, "HTTP") {
				request += " HTTP/1.1"
			}
			if _, last, _ := raw(t, address, request+"\r\nHost: h\r\nConnection: close\r\n\r\n"); last.Header.Get("Strict-Transport-Security") != want {
				t.Errorf("%q: %v", request, last.Header)
			}
		}
		if refusal := string(commonHeaders{secure: secure}.tooManyConnections("full")); strings.Contains(refusal, "Strict-Transport-Security") != secure || !strings.HasPrefix(refusal, "HTTP/1.1 503 ") || !strings.Contains(refusal, `"code":"unavailable"`) {
			t.Error(refusal)
		}
	}
}

func TestAnAnswerThatNobodyReadsEnds(t *testing.T) {
	t.Parallel()
	address := started(t, Options{timeouts: timeouts{read: patience, write: 50 * time.Millisecond, idle: patience}})
	conn := dialled(t, address)
	if err := conn.SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	// The server gave up when writing to it fails: nothing is read here meanwhile.
	eventually(t, "the end of the connection", func() bool {
		_, err := io.WriteString(conn, "X")
		return err != nil
	})
}

func TestASlowRequestEnds(t *testing.T) {
	t.Parallel()
	address := started(t, Options{timeouts: timeouts{read: 200 * time.Millisecond, write: patience, idle: patience}})
	for _, partial := range []string{"", "GET /ec", "GET /echo HTTP/1.1\r\nHost: h\r\nX: ", "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{", "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{"} {
		conn := dialled(t, address)
		if _, err := io.WriteString(conn, partial); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, context.DeadlineExceeded) || err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%q is waited for: %v", partial, err)
		}
	}
}
