// Package talk is many clients that talk in rooms and note all that they do and see, and Parley's
// guarantees as invariants, plain functions on those notes and on what the server has in the end.
package talk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
)

// Options say who talks where and how much.
type Options struct {
	Base      string      // such as "http://127.0.0.1:8000"
	Rooms     []chat.Slug // they are there already
	RoomsEach int         // that a client is in
	Clients   int
	// Rate is of all clients together, messages, edits and deletes a second; what can't be had is not
	// made up for.
	Rate float64
	// Patience is how long an answer may take, whatever happens. What takes longer is a violation.
	Patience time.Duration
	Random   *rand.Rand
	// SignIn signs client n in, and again when its sign-in is of no use any more.
	SignIn func(ctx context.Context, n int) (client.SignIn, error)
}

// Talk is the clients and what they noted.
type Talk struct {
	options Options
	// Sockets are the clients' connections.
	Sockets *Cutter

	acked, changed, reconnects, replays, rejoins atomic.Int64

	end, quit        context.CancelFunc
	sending, sockets sync.WaitGroup
	talkers          []*talker
	seen             *seenTable

	mu       sync.Mutex
	problems []Violation
}

// Progress is how far a talk is.
type Progress struct {
	Acked      int64 `json:"acked"`      // messages
	Changed    int64 `json:"changed"`    // acked edits and deletes
	Reconnects int64 `json:"reconnects"` // connections that ended
	Replays    int64 `json:"replays"`    // joins that brought what was missed
	Rejoins    int64 `json:"rejoins"`    // rooms left and joined again
}

// signInsAtOnce bounds the load that the clients put on auth when they come.
const signInsAtOnce = 4

// Start signs the clients in, has them join their rooms, and lets them talk until Quiet or the end of
// ctx. End must be called.
func Start(ctx context.Context, o Options) (*Talk, error) {
	t := &Talk{options: o, Sockets: &Cutter{}, seen: &seenTable{known: map[Seen]*Seen{}}}
	var sending context.Context
	sending, t.end = context.WithCancel(ctx)
	var connected context.Context
	connected, t.quit = context.WithCancel(ctx)
	if err := t.signIn(connected); err != nil {
		t.End()
		return nil, err
	}
	var joining sync.WaitGroup
	for _, c := range t.talkers {
		t.sockets.Go(func() {
			if err := c.socket.Run(connected); err != nil {
				t.complain(Violation{Who: c.who, Text: fmt.Sprintf("the socket ended: %v", err)})
			}
		})
		joining.Go(func() {
			for _, room := range c.rooms {
				c.join(connected, room, nil)
			}
		})
	}
	joining.Wait()
	for _, c := range t.talkers {
		t.sending.Go(func() { c.talkOn(sending, connected) })
	}
	return t, ctx.Err()
}

func (t *Talk) signIn(ctx context.Context) error {
	o := t.options
	api := client.NewHTTP(o.Base, &http.Client{Timeout: 20 * time.Second})
	errs := make([]error, o.Clients)
	t.talkers = make([]*talker, o.Clients)
	slots := make(chan struct{}, signInsAtOnce)
	var all sync.WaitGroup
	for i := range o.Clients {
		rooms := make([]chat.Slug, 0, o.RoomsEach)
		for _, n := range o.Random.Perm(len(o.Rooms))[:min(o.RoomsEach, len(o.Rooms))] {
			rooms = append(rooms, o.Rooms[n])
		}
		random := rand.New(rand.NewPCG(o.Random.Uint64(), 0)) //nolint:gosec // to be repeated by its seed
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			signIn, err := o.SignIn(ctx, i)
			if err != nil {
				errs[i] = fmt.Errorf("client %d signs in: %w", i, err)
				return
			}
			c := &talker{talk: t, who: fmt.Sprintf("client-%d", i), user: signIn.User.ID, rooms: rooms, random: random, sights: map[chat.Slug]*Sight{}, views: map[chat.Slug]*view{}, out: map[chat.Slug]bool{}}
			c.ear = &ear{talker: c, rooms: map[chat.Slug]*heard{}}
			tokens := Tokens(api, signIn, func(ctx context.Context) (client.SignIn, error) { return o.SignIn(ctx, i) })
			c.socket = client.NewSocket(client.Options{
				Base: o.Base, Tokens: tokens, Handler: c, Dial: t.Sockets.Dial, OnFrame: c.ear.hear, AnswerTimeout: 5 * time.Second,
			})
			t.talkers[i] = c
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// Progress says how far the talk is.
func (t *Talk) Progress() Progress {
	return Progress{Acked: t.acked.Load(), Changed: t.changed.Load(), Reconnects: t.reconnects.Load(), Replays: t.replays.Load(), Rejoins: t.rejoins.Load()}
}

// Quiet ends the sending and returns when all that was under way has its answer.
func (t *Talk) Quiet() {
	t.end()
	t.sending.Wait()
}

// Behind says how many clients have not seen all of one of their rooms, whose logs end at heads.
func (t *Talk) Behind(heads map[chat.Slug]client.Cursor) (clients int) {
	for _, c := range t.talkers {
		for _, room := range c.rooms {
			if cursor, joined := c.socket.Cursor(room); !joined || cursor != heads[room] {
				clients++
				break
			}
		}
	}
	return clients
}

// End ends the sockets; the notes are whole then.
func (t *Talk) End() {
	t.end()
	t.sending.Wait()
	t.quit()
	t.sockets.Wait()
}

// Notes returns what the clients noted, once the talk has ended.
func (t *Talk) Notes() (deeds []Deed, sights []*Sight, problems []Violation) {
	for _, c := range t.talkers {
		if c == nil {
			continue
		}
		deeds = append(deeds, c.deeds...)
		for _, room := range c.rooms {
			if s := c.sights[room]; s != nil {
				sights = append(sights, s)
			}
		}
	}
	return deeds, sights, t.problems
}

// complain notes what no client should ever meet with. Without a name it is one of the answers.
func (t *Talk) complain(v Violation) {
	if v.Invariant == "" {
		v.Invariant = Answered
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problems = append(t.problems, v)
}

// Tokens keep somebody signed in. Where the sign-in is lost, as those from after a backup are by a
// restore, again signs in anew.
func Tokens(api *client.HTTP, signIn client.SignIn, again func(context.Context) (client.SignIn, error)) client.TokenSource {
	return &tokens{api: api, keeper: api.Refresher(signIn), again: again}
}

type tokens struct {
	api   *client.HTTP
	again func(context.Context) (client.SignIn, error)

	mu     sync.Mutex
	keeper *client.Refresher
}

// Token implements client.TokenSource.
func (t *tokens) Token(ctx context.Context, stale string) (client.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	token, err := t.keeper.Token(ctx, stale)
	if chat.CodeOf(err) != chat.CodeUnauthenticated {
		return token, err
	}
	signIn, err := t.again(ctx)
	if err != nil {
		return client.Token{}, err
	}
	t.keeper = t.api.Refresher(signIn)
	return t.keeper.Token(ctx, "")
}
