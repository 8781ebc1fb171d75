package edge

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/access"
	"github.com/parley-chat/parley/services/edge/internal/drain"
	"github.com/parley-chat/parley/services/edge/internal/feed"
	"github.com/parley-chat/parley/services/edge/internal/follow"
	"github.com/parley-chat/parley/services/edge/internal/outbox"
	"github.com/parley-chat/parley/services/edge/internal/presence"
	"github.com/parley-chat/parley/services/edge/internal/ratelimit"
	"github.com/parley-chat/parley/services/edge/internal/room"
	"github.com/parley-chat/parley/services/edge/internal/session"
)

// The private room of the tests.
const (
	privateRoom chat.RoomID = 7
	privateSlug chat.Slug   = "private"
)

// membership is a rooms service with one private room: its members read it, and staff know of it.
type membership struct {
	mu      sync.Mutex
	members map[string]bool
	staff   map[string]bool
	version int64
	lobby   chat.Seq
	entries []roomsapi.Entry
	asked   int
	held    chan struct{} // while it is not closed, questions are not answered
}

func (m *membership) room() *chat.Room {
	return &chat.Room{Slug: privateSlug, Name: "secret plans", Log: "L", Private: true}
}

func (m *membership) Access(ctx context.Context, token string, _ chat.Slug) (roomsapi.Access, error) {
	m.mu.Lock()
	held := m.held
	m.asked++
	m.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return roomsapi.Access{}, chat.Errorf(chat.CodeUnavailable, "no answer")
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.members[token]:
		return roomsapi.Access{ID: privateRoom, Room: m.room(), Version: m.version, Lobby: m.lobby}, nil
	case m.staff[token]:
		return roomsapi.Access{}, chat.Errorf(chat.CodeForbidden, "only members read the room")
	}
	return roomsapi.Access{}, chat.Errorf(chat.CodeNotFound, "there is no such room")
}

func (m *membership) Tail(ctx context.Context, id chat.RoomID, limit, bytes int) (roomsapi.Range, error) {
	return m.Entries(ctx, id, 0, limit, bytes)
}

func (m *membership) Entries(_ context.Context, _ chat.RoomID, after chat.Seq, _, _ int) (roomsapi.Range, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return roomsapi.Range{Log: "L", Head: chat.Seq(len(m.entries)), Floor: 1, Entries: m.entries[after:]}, nil
}

func (*membership) History(context.Context, chat.RoomID, chat.Seq, int) (roomsapi.History, error) {
	return roomsapi.History{}, nil
}
func (*membership) Heads(context.Context) ([]roomsapi.Head, error) { return nil, nil }
func (*membership) Append(roomsapi.Append, func(chat.Seq, error))  {}

func (*membership) Subscribe(context.Context, stream.Room) error { return nil }
func (*membership) Unsubscribe(context.Context, stream.Room)     {}
func (*membership) Healthy() bool                                { return true }
func (*membership) Renew()                                       {}

// Verify takes a user's id for its token; staff are those of the membership.
func (m *membership) Verify(_ context.Context, raw string) (token.Claims, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	user := chat.User{ID: chat.UserID(raw), Name: raw, Kind: chat.KindUser, Staff: m.staff[raw]}
	return token.Claims{Tenant: chat.DefaultTenant, User: user, Session: chat.SessionID(raw), Expires: time.Now().Add(time.Hour)}, nil
}

// planted is an edge over a membership.
type planted struct {
	*membership

	t        *testing.T
	feed     *feed.Feed
	events   *access.Events
	shared   *session.Shared
	registry *session.Registry
	metrics  *prometheus.Registry
	url      string
}

func plant(t *testing.T) *planted {
	t.Helper()
	m := &membership{members: map[string]bool{"ada": true, "bob": true}, staff: map[string]bool{"sam": true}, version: 1}
	log, metrics := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	rooms := room.NewRooms(metrics)
	entries := feed.New(rooms, m, nil, log, metrics)
	entries.SetNotifications(m)
	grants := &access.Access{Feed: entries, Asker: m}
	limiter := ratelimit.New(ratelimit.Rates{}, metrics)
	p := &planted{membership: m, t: t, feed: entries, registry: session.NewRegistry(time.Minute), metrics: metrics}
	p.events = access.NewEvents(grants, p.registry, token.NewRevocations(time.Now))
	p.shared = &session.Shared{
		Feed: entries, Access: grants, Rooms: m, Verifier: m, Limiter: limiter, Writers: outbox.NewWriters(), Outboxes: outbox.NewMetrics(metrics),
		Presence: presence.New(false, nil, nil, rooms, log, metrics), Metrics: session.NewMetrics(metrics), Log: log,
		Limits: session.Limits{Limits: wire.Limits{Rooms: 10, Frame: 1 << 16}, OutboxBytes: 1 << 20, Heartbeat: time.Hour},
	}
	authenticator := &webapi.Authenticator{Verifier: m}
	app := webapi.New(webapi.Options{Service: "edge", Log: log, Registry: metrics})
	follow.New(follow.Options{
		Feed: entries, Access: grants, Authenticator: authenticator, Limiter: limiter, Polls: limit.Rate{}, Log: log, Metrics: metrics,
		Aged: p.shared.Metrics.Aged(), Drain: drain.New(drain.Config{}, metrics),
	}).Routes(app)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.url = "http://" + listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = p.events.Run(ctx, func() {}) })
	parts.Go(func() { _ = app.Listener(listener) })
	t.Cleanup(func() {
		stop()
		_ = app.ShutdownWithTimeout(time.Second)
		parts.Wait()
	})
	return p
}

// say commits a message and delivers it.
func (p *planted) say(body string) {
	p.mu.Lock()
	seq := chat.Seq(len(p.entries) + 1)
	event := fmt.Sprintf(`{"type":"message","room":"private","seq":%d,"message":{"id":%d,"body":%q}}`, seq, seq, body)
	e := roomsapi.Entry{Seq: seq, Kind: "message", Message: seq, Event: json.RawMessage(event)}
	p.entries = append(p.entries, e)
	p.mu.Unlock()
	if r := p.feed.Rooms.ByID(privateRoom); r != nil {
		r.Deliver([]roomsapi.Entry{e})
	}
}

// change changes the membership, raises the version and tells the lobby.
func (p *planted) change(before, after lobby.Audience, how func()) {
	p.mu.Lock()
	how()
	p.version++
	p.lobby++
	event := lobby.Event{
		Seq: p.lobby, Kind: lobby.RoomUpdated, Tenant: chat.DefaultTenant, RoomID: privateRoom, Room: p.room(), Before: p.room(),
		FormerAudience: &before, Audience: &after, AccessVersion: p.version,
	}
	p.mu.Unlock()
	p.events.HandleLobby(p.t.Context(), event)
}

func listed(users ...chat.UserID) lobby.Audience {
	return lobby.Audience{Reach: lobby.ReachUsers, Users: users}
}

// received is what a client has been sent so far.
type received struct {
	t    *testing.T
	name string

	mu   sync.Mutex
	text strings.Builder
}

func (r *received) read(from io.Reader) {
	page := make([]byte, 4<<10)
	for {
		n, err := from.Read(page)
		r.mu.Lock()
		r.text.Write(page[:n])
		r.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (r *received) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// gets waits until the client has been sent something.
func (r *received) gets(text string) {
	r.t.Helper()
	waitFor(r.t, r.name+" is sent "+text, func() bool { return strings.Contains(r.all(), text) })
}

// hasNot fails if the client has been sent something.
func (r *received) hasNot(text string) {
	r.t.Helper()
	if strings.Contains(r.all(), text) {
		r.t.Errorf("%s was sent %q: %q", r.name, text, r.all())
	}
}

// connect opens a socket of a user.
func (p *planted) connect(name string) (*received, *session.Session) {
	p.t.Helper()
	server, client := net.Pipe()
	r := &received{t: p.t, name: name}
	s := session.New(p.shared, server, "")
	p.registry.Add(s)
	claims, _ := p.Verify(p.t.Context(), name)
	var reading sync.WaitGroup
	reading.Go(func() { r.read(client) })
	s.Greet(p.t.Context(), claims, name, nil)
	p.t.Cleanup(func() {
		_ = client.Close()
		s.End()
		reading.Wait()
	})
	r.gets(`"hello"`)
	return r, s
}

func (p *planted) join(s *session.Session) {
	s.Handle(p.t.Context(), []byte(`{"type":"join","id":1,"room":"private"}`))
}

// get begins a call by HTTP, of which the status comes first.
func (p *planted) get(name, path string) *received {
	p.t.Helper()
	r := &received{t: p.t, name: name + " by " + path}
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+name)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return
		}
		defer func() { _ = response.Body.Close() }()
		r.mu.Lock()
		fmt.Fprintf(&r.text, "status %d\n", response.StatusCode)
		r.mu.Unlock()
		r.read(bufio.NewReader(response.Body))
	}()
	return r
}

// waitFor waits for a condition.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
	}
}

// waitAsked waits until access was asked for n times.
func (p *planted) waitAsked(n int) {
	p.t.Helper()
	waitFor(p.t, "questions", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.asked >= n
	})
}

// waitPolling waits until a poll is open.
func (p *planted) waitPolling() {
	p.t.Helper()
	waitFor(p.t, "an open poll", func() bool {
		families, _ := p.metrics.Gather()
		for _, family := range families {
			for _, m := range family.GetMetric() {
				if family.GetName() == "parley_edge_followers" && m.GetLabel()[0].GetValue() == "poll" && m.GetGauge().GetValue() == 1 {
					return true
				}
			}
		}
		return false
	})
}

// A member that is taken out of a private room loses it by socket, poll and event stream; another one keeps it.
func TestLossOfMembershipActsOnAllTransports(t *testing.T) {
	p := plant(t)
	ada, adaSocket := p.connect("ada")
	bob, bobSocket := p.connect("bob")
	p.join(adaSocket)
	p.join(bobSocket)
	bob.gets(`"joined"`)
	stream := p.get("bob", "/sse?room=private&after=0")
	p.say("hello members")
	stream.gets("hello members")
	bob.gets("hello members")
	poll := p.get("bob", "/api/rooms/private/events?after=1&wait=60")
	p.waitPolling()

	p.change(listed("ada", "bob"), listed("ada"), func() { delete(p.members, "bob") })
	p.say("secret")
	bob.gets(`"kicked"`)
	bob.gets(`"room_deleted"`)
	stream.gets(`"room_deleted"`)
	poll.gets("status 404")
	ada.gets("secret")
	for _, lost := range []*received{bob, stream, poll} {
		lost.hasNot("secret\"")
	}
	p.join(bobSocket)
	bob.gets(`"not_found"`)

	p.change(listed("ada"), listed("ada", "bob"), func() { p.members["bob"] = true })
	bob.gets(`"room_created"`)
	p.join(bobSocket)
	p.say("welcome back")
	bob.gets("welcome back")
	p.get("bob", "/api/rooms/private/events?after=2").gets("welcome back")
	p.get("bob", "/sse?room=private&after=2").gets("welcome back")
}

// Events of a private room reach its members, and staff, who know of it and do not read it.
func TestAPrivateRoomIsKnownOfByItsMembersAndStaff(t *testing.T) {
	p := plant(t)
	ada, adaSocket := p.connect("ada")
	eve, eveSocket := p.connect("eve")
	sam, samSocket := p.connect("sam")
	p.join(adaSocket)
	p.join(eveSocket)
	p.join(samSocket)
	eve.gets(`"not_found"`)
	sam.gets(`"forbidden"`)
	p.get("sam", "/api/rooms/private/events?after=0&wait=0").gets("status 403")
	p.get("sam", "/sse?room=private&after=0").gets("status 403")
	p.get("eve", "/sse?room=private&after=0").gets("status 404")
	p.change(listed("ada", "bob"), listed("ada"), func() { delete(p.members, "bob") })
	p.say("among members")
	ada.gets("among members")
	ada.gets(`"room_updated"`)
	sam.gets(`"room_updated"`)
	sam.hasNot("among members")
	eve.hasNot("secret plans")
}

// Where an event does not tell who may read, nothing is delivered to a member until rooms has answered: a member that
// may stay misses nothing, and one that may not gets nothing.
func TestMembersAreAskedAboutWhereTheAudienceIsUnsure(t *testing.T) {
	p := plant(t)
	ada, adaSocket := p.connect("ada")
	bob, bobSocket := p.connect("bob")
	eve, _ := p.connect("eve")
	p.join(adaSocket)
	p.join(bobSocket)
	p.say("before")
	bob.gets("before")
	ada.gets("before")
	held := make(chan struct{})
	ask := lobby.Audience{Reach: lobby.ReachAsk}
	p.change(ask, ask, func() {
		delete(p.members, "bob")
		p.held = held
	})
	p.say("between")
	p.waitAsked(4)
	ada.hasNot("between")
	close(held)
	ada.gets("between")
	ada.gets(`"room_updated"`)
	bob.gets(`"kicked"`)
	p.say("after")
	ada.gets("after")
	bob.hasNot("between")
	bob.hasNot("\"after\"}")
	eve.hasNot("secret plans")
	if strings.Index(ada.all(), "between") > strings.Index(ada.all(), "\"after\"") {
		t.Error("out of order:", ada.all())
	}
}

// An event that raises no version asks for nothing again.
func TestAGrantOutlivesAnEventThatDoesNotChangeAccess(t *testing.T) {
	p := plant(t)
	ada, adaSocket := p.connect("ada")
	p.join(adaSocket)
	ada.gets(`"joined"`)
	p.mu.Lock()
	p.lobby++
	event := lobby.Event{
		Seq: p.lobby, Kind: lobby.RoomUpdated, Tenant: chat.DefaultTenant, RoomID: privateRoom, Room: p.room(), Before: p.room(),
		FormerAudience: &lobby.Audience{Reach: lobby.ReachAsk}, Audience: &lobby.Audience{Reach: lobby.ReachAsk}, AccessVersion: p.version,
	}
	before := p.asked
	p.mu.Unlock()
	p.events.HandleLobby(t.Context(), event)
	ada.gets(`"room_updated"`)
	p.get("ada", "/api/rooms/private/events?after=0&wait=0").gets("status 200")
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked != before {
		t.Error("asked again", p.asked-before, "times")
	}
}
