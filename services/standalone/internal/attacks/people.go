//go:build linux

package attacks

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/standalone/internal/talk"
)

// How people talk.
const (
	roomSize    = 10
	talkEvery   = 2 * time.Second // each of them
	sendWithin  = 30 * time.Second
	answerAfter = 5 * time.Second // without an answer a command is sent again
)

// people talk by the proxy, as people do, and note how long what they say takes to arrive.
type people struct {
	base   string
	api    *client.HTTP
	reader client.SignIn
	rooms  []chat.Slug

	connected, talking         context.Context //nolint:containedctx // they last as long as the people do
	disconnect, fallSilent     context.CancelFunc
	sockets, talkers           sync.WaitGroup
	mu                         sync.Mutex
	delivered, acked, failures []time.Duration
	said                       map[string]bool // nonces that were acked
	told                       [3]int          // how much of delivered, acked and failures lately has told of
}

// Times are how long messages took in a phase.
type Times struct {
	Delivered int           `json:"delivered"`
	P50       time.Duration `json:"p50_ns"`
	P99       time.Duration `json:"p99_ns"`
	AckedP99  time.Duration `json:"acked_p99_ns"`
	Failed    int           `json:"failed"` // sends that had no answer in time
}

// String implements fmt.Stringer.
func (t Times) String() string {
	return fmt.Sprintf("%d deliveries, p50 %s, p99 %s, acked p99 %s, %d sends failed", t.Delivered,
		t.P50.Round(100*time.Microsecond), t.P99.Round(100*time.Microsecond), t.AckedP99.Round(100*time.Microsecond), t.Failed)
}

// gather makes the rooms, signs people in and has them talk.
func gather(ctx context.Context, base string, number int) (*people, error) {
	p := &people{base: base, api: client.NewHTTP(base, &http.Client{Timeout: 20 * time.Second}), said: map[string]bool{}}
	p.connected, p.disconnect = context.WithCancel(ctx)
	p.talking, p.fallSilent = context.WithCancel(ctx)
	admin, err := p.api.Login(ctx, adminUser, adminPassword)
	if err != nil {
		return nil, fmt.Errorf("the administrator signs in: %w", err)
	}
	for n := range max(1, number/roomSize) {
		slug := chat.Slug(fmt.Sprintf("talk-%d", n))
		if err = patiently(ctx, func() error {
			_, err = p.api.CreateRoom(ctx, admin.AccessToken, client.NewRoom{Slug: slug, Name: string(slug), AllowGuests: true})
			return err
		}); err != nil {
			return nil, fmt.Errorf("room %s is made: %w", slug, err)
		}
		p.rooms = append(p.rooms, slug)
	}
	for n := range number {
		if err = p.add(ctx, n); err != nil {
			p.leave()
			return nil, fmt.Errorf("person %d comes: %w", n, err)
		}
	}
	err = patiently(ctx, func() error { p.reader, err = p.api.Guest(ctx, "reader"); return err })
	return p, err
}

// add has one more person come, join a room and talk.
func (p *people) add(ctx context.Context, n int) error {
	var signIn client.SignIn
	if err := patiently(ctx, func() (err error) {
		signIn, err = p.api.Guest(ctx, fmt.Sprintf("person %d", n))
		return err
	}); err != nil {
		return err
	}
	socket := client.NewSocket(client.Options{Base: p.base, Tokens: p.api.Refresher(signIn), AnswerTimeout: answerAfter})
	p.sockets.Go(func() { _ = socket.Run(p.connected) })
	room := p.rooms[n%len(p.rooms)]
	if err := socket.Join(ctx, room, client.JoinOptions{Limit: 1}, &listener{people: p, user: signIn.User.ID}); err != nil {
		return err
	}
	p.talkers.Go(func() {
		for pause(p.talking, talkEvery) {
			p.say(p.connected, socket, room)
		}
	})
	return nil
}

// say sends a message that tells when it was sent.
func (p *people) say(ctx context.Context, socket *client.Socket, room chat.Slug) {
	limit, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	sent, nonce := time.Now(), rand.Text()
	_, err := socket.Send(limit, room, client.Outgoing{Body: strconv.FormatInt(sent.UnixNano(), 10) + " says a person", Nonce: nonce})
	p.mu.Lock()
	defer p.mu.Unlock()
	if took := time.Since(sent); err != nil {
		p.failures = append(p.failures, took)
	} else {
		p.acked = append(p.acked, took)
		p.said[nonce] = true
	}
}

// listener is a person's view of its room.
type listener struct {
	people *people
	user   chat.UserID
}

// Entry implements client.RoomHandler.
func (l *listener) Entry(event wire.Event) {
	m := event.Message
	if m.Author.ID == l.user {
		return
	}
	sent, _, _ := strings.Cut(m.Body, " ")
	nanos, err := strconv.ParseInt(sent, 10, 64)
	if err != nil {
		return // an attacker's
	}
	took := time.Since(time.Unix(0, nanos))
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	l.people.delivered = append(l.people.delivered, took)
}

// Joined implements client.RoomHandler.
func (*listener) Joined(client.Joined) {}

// Signal implements client.RoomHandler.
func (*listener) Signal(string, []byte) {}

// Left implements client.RoomHandler.
func (*listener) Left(error) {}

// begin begins a phase: what was noted before is forgotten, but for what was acked.
func (p *people) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delivered, p.acked, p.failures, p.told = nil, nil, nil, [3]int{}
}

// times are those of the phase so far.
func (p *people) times() Times {
	p.mu.Lock()
	defer p.mu.Unlock()
	return timesOf(p.delivered, p.acked, p.failures)
}

// lately are the times since it was called last.
func (p *people) lately() Times {
	p.mu.Lock()
	defer p.mu.Unlock()
	from := p.told
	p.told = [3]int{len(p.delivered), len(p.acked), len(p.failures)}
	return timesOf(p.delivered[from[0]:], p.acked[from[1]:], p.failures[from[2]:])
}

func timesOf(delivered, acked, failures []time.Duration) Times {
	return Times{Delivered: len(delivered), P50: quantile(delivered, 0.5), P99: quantile(delivered, 0.99), AckedP99: quantile(acked, 0.99), Failed: len(failures)}
}

func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[int(q*float64(len(sorted)-1))]
}

// quiet ends the talk; what was under way has its answer then.
func (p *people) quiet() {
	p.fallSilent()
	p.talkers.Wait()
}

func (p *people) leave() {
	p.quiet()
	p.disconnect()
	p.sockets.Wait()
}

// lost counts the acked messages that are not in their rooms' history exactly once.
func (p *people) lost(ctx context.Context) (int, error) {
	loader := &talk.Loader{Base: p.base, Tokens: p.api.Refresher(p.reader), HTTP: &http.Client{Timeout: 30 * time.Second}}
	found := map[string]int{}
	for _, room := range p.rooms {
		messages, err := loader.Messages(ctx, room)
		if err != nil {
			return 0, err
		}
		for i := range messages {
			found[messages[i].Nonce]++
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	lost := 0
	for nonce := range p.said {
		if found[nonce] != 1 {
			lost++
		}
	}
	return lost, nil
}

// patiently tries again for as long as the limits say so.
func patiently(ctx context.Context, try func() error) error {
	for {
		err := try()
		refused, ok := errors.AsType[*chat.Error](err)
		if !ok || refused.Code != chat.CodeRateLimited || !pause(ctx, refused.RetryAfter+100*time.Millisecond) {
			return err
		}
	}
}
