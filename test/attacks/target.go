//go:build linux

package attacks

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/harness"
)

// target is what is attacked: the services themselves, without the proxy, from addresses at which nobody
// talks.
type target struct {
	auth, rooms string // host:port
	edges       []string
	next        atomic.Uint32
	bomb        []byte
	user        client.SignIn // an account with a room of its own
	room        chat.Slug     // that room

	mu       sync.Mutex
	answered map[string]map[string]int
}

// attack is one way to do harm. Its workers begin anew what ends, and stop with their context.
type attack struct {
	name    string
	workers int
	every   time.Duration // between the beginnings of a worker
	do      func(ctx context.Context, a *attempt)
}

// attempt is one beginning of an attack. Each attack has an address of its own.
type attempt struct {
	*target

	name string
	from net.IP
}

func newTarget(ctx context.Context, c *harness.Cluster) (*target, error) {
	t := &target{auth: c.Child("auth").Address, rooms: c.Child("rooms-1").Address, edges: c.Edges(), room: "mine", answered: map[string]map[string]int{}}
	var err error
	if t.bomb, err = makeBomb(); err != nil {
		return nil, err
	}
	api := client.NewHTTP(c.URL, &http.Client{Timeout: 20 * time.Second})
	if err = harness.RetryLimited(ctx, func() error { t.user, err = api.Signup(ctx, "mallory", "battery staple horse"); return err }); err != nil {
		return nil, fmt.Errorf("the attacker signs up: %w", err)
	}
	_, err = api.CreateRoom(ctx, t.user.AccessToken, client.NewRoom{Slug: t.room, Name: "Mine", AllowGuests: true})
	return t, err
}

func (a attack) work(ctx context.Context, t *target, from net.IP) {
	for ctx.Err() == nil {
		a.do(ctx, &attempt{target: t, name: a.name, from: from})
		_ = harness.Pause(ctx, a.every)
	}
}

// count notes what an attack was answered.
func (a *attempt) count(answer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.answered[a.name] == nil {
		a.answered[a.name] = map[string]int{}
	}
	a.answered[a.name][answer]++
}

func (t *target) counts() map[string]map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.answered)
}

// edge is the next edge.
func (t *target) edge() string { return t.edges[int(t.next.Add(1))%len(t.edges)] }

// dial connects from the attempt's address; the connection ends with ctx.
func (a *attempt) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 2 * time.Second, LocalAddr: &net.TCPAddr{IP: a.from}}).DialContext(ctx, "tcp", address)
	if err != nil {
		a.count("not connected")
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn, nil
}

// exchange sends raw bytes on a connection of its own and counts the status that they are answered with.
func (a *attempt) exchange(ctx context.Context, address, request string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := a.dial(ctx, address)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, request)
	_, _ = a.status(bufio.NewReader(conn))
}

// status reads the head of an answer, counts its status and returns it.
func (a *attempt) status(from *bufio.Reader) (int, error) {
	line, err := from.ReadString('\n')
	fields := strings.Fields(line)
	if err != nil || len(fields) < 2 {
		a.count("closed")
		return 0, errors.Join(err, io.ErrUnexpectedEOF)
	}
	a.count(fields[1])
	return strconv.Atoi(fields[1])
}

// head is a request's, with the token of somebody signed in, or "" for nobody's.
func head(method, path, token string, headers ...string) string {
	if token != "" {
		headers = append(headers, "Authorization: Bearer "+token)
	}
	return method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + strings.Join(append(headers, "\r\n"), "\r\n")
}

// post is a request with a JSON body.
func post(method, path, token, body string, headers ...string) string {
	headers = append(headers, "Content-Type: application/json", "Content-Length: "+strconv.Itoa(len(body)))
	return head(method, path, token, headers...) + body
}

// guest signs a guest in from the attempt's address.
func (a *attempt) guest(ctx context.Context) (token string, ok bool) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) { return a.dial(ctx, address) }, DisableKeepAlives: true}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a.auth+"/api/auth/guest", strings.NewReader(`{"name":"Noisy"}`))
	if err != nil {
		return "", false
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return "", false
	}
	defer func() { _ = response.Body.Close() }()
	var signIn client.SignIn
	if response.StatusCode != http.StatusOK || json.NewDecoder(response.Body).Decode(&signIn) != nil {
		a.count("guest " + strconv.Itoa(response.StatusCode))
		return "", false
	}
	return signIn.AccessToken, true
}
