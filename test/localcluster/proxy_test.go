package localcluster

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"
)

// upstream answers with its name, the path, the body and the headers that matter; /ws echoes.
func upstream(t *testing.T, name string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ws" {
			upgrader := websocket.Upgrader{}
			conn, err := upgrader.Upgrade(w, r, nil)
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			_, message, err := conn.ReadMessage()
			if err == nil {
				_ = conn.WriteMessage(websocket.TextMessage, append([]byte(name+" "), message...))
			}
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, strings.Join([]string{name, r.URL.RequestURI(), r.Host, r.Header.Get("X-Forwarded-For"), string(body)}, " "))
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func proxy(t *testing.T, p Proxy) (url string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.Listener, p.Log = listener, slog.New(slog.DiscardHandler)
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- p.Run(ctx, func() {}) }()
	t.Cleanup(func() {
		stop()
		if err := ends(t, ran); err != nil {
			t.Error(err)
		}
	})
	return "http://" + listener.Addr().String()
}

func fetch(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-For", "6.6.6.6") // a lie
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

func TestProxyRoutes(t *testing.T) {
	url := proxy(t, Proxy{
		Auth: []string{upstream(t, "auth")}, Rooms: []string{upstream(t, "rooms")},
		Edges: []string{upstream(t, "edge")}, Web: []string{upstream(t, "web")},
	})
	host := strings.TrimPrefix(url, "http://")
	for path, want := range map[string]string{
		"/":                            "web",
		"/assets/parley.js":            "web",
		"/apis":                        "web",
		"/api/auth/login":              "auth",
		"/.well-known/jwks.json":       "auth",
		"/api/authority":               "rooms",
		"/api/rooms?q=a%2Fb":           "rooms",
		"/api/rooms/events":            "rooms", // the room whose slug is events
		"/api/rooms/a/messages":        "rooms",
		"/api/rooms/a/events?after=1":  "edge",
		"/api/rooms/a/b/events":        "rooms",
		"/sse?room=a":                  "edge",
		"/poll/a?after=1":              "edge",
		"/polls":                       "web",
		"/api/rooms/a/messages/events": "rooms",
	} {
		if _, got := fetch(t, http.MethodGet, url+path, ""); got != want+" "+path+" "+host+" 127.0.0.1 " {
			t.Errorf("%s went to %q", path, got)
		}
	}
}

func TestProxyPassesOverWhoRefuses(t *testing.T) {
	gone, err := freeAddress(t.Context(), map[string]bool{})
	if err != nil {
		t.Fatal(err)
	}
	url := proxy(t, Proxy{Rooms: []string{gone, upstream(t, "one"), upstream(t, "two")}, Edges: []string{upstream(t, "e"), gone}, Web: []string{gone}})
	seen := map[string]int{}
	for range 12 {
		status, got := fetch(t, http.MethodPost, url+"/api/rooms", "the body")
		if status != http.StatusOK || !strings.HasSuffix(got, " the body") {
			t.Fatal(status, got)
		}
		seen[got[:3]]++
	}
	if seen["one"] < 4 || seen["two"] < 4 {
		t.Error("not in turn:", seen)
	}
	for range 2 {
		conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if err := conn.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.ReadMessage(); err != nil || string(got) != "e hello" {
			t.Error(string(got), err)
		}
		_ = conn.Close()
	}
	if status, got := fetch(t, http.MethodGet, url+"/", ""); status != http.StatusServiceUnavailable || !strings.Contains(got, `"code":"unavailable"`) {
		t.Error(status, got)
	}
}
