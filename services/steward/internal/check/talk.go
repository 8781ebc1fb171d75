package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/wire"
)

// message is one that was acked.
type message struct {
	id   chat.Seq
	body string
}

// Each of the two sends that many, and one sends as many again while the other is away.
const messagesEach = 5

// connect opens a socket at each of two edges and joins the room with both.
func (c *checker) connect(ctx context.Context) (string, error) {
	base, addresses, said := c.Edge, []string{"", ""}, "two through "+c.Edge+", at whichever edges it chose"
	if len(c.Edges) > 0 {
		found, err := c.edges(ctx)
		if err != nil {
			return "", err
		}
		base, addresses, said = "http://"+c.Edges[0], found, fmt.Sprintf("at the edges %s and %s", found[0], found[1])
		if found[0] == found[1] {
			said = "both at the only edge, " + found[0] + "; with one edge, nobody can show that it can be lost"
		}
	}
	tokens := c.auth.Refresher(c.signIn)
	c.one, c.two = newPerson(base, addresses[0], tokens), newPerson(base, addresses[1], tokens)
	for _, p := range []*person{c.one, c.two} {
		p.start(ctx)
		c.later(func(context.Context) error { p.close(); return nil })
		if err := p.socket.Join(ctx, c.room, client.JoinOptions{}, p); err != nil {
			return "", cmp.Or(p.trouble(), err)
		}
	}
	return said, nil
}

// edges chooses two addresses of the edges, the same twice where there is only one.
func (c *checker) edges(ctx context.Context) ([]string, error) {
	var found []string
	for _, edge := range c.Edges {
		var pods []string
		err := patiently(ctx, func() (err error) {
			pods, err = addresses(ctx, edge)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("--edges: %w", err)
		}
		found = append(found, pods...)
	}
	rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] }) //nolint:gosec // any will do
	return []string{found[0], found[len(found)-1]}, nil
}

// talk has both send at the same time, and compares what they saw.
func (c *checker) talk(ctx context.Context) (string, error) {
	from := max(c.one.joined().Cursor, c.two.joined().Cursor)
	sent := make(chan error, 2)
	var byOne, byTwo []message
	go func() { sent <- c.send(ctx, c.one, "one", &byOne) }()
	go func() { sent <- c.send(ctx, c.two, "two", &byTwo) }()
	if err := errors.Join(<-sent, <-sent); err != nil {
		return "", err
	}
	c.sent = slices.Concat(byOne, byTwo)
	slices.SortFunc(c.sent, func(a, b message) int { return cmp.Compare(a.id, b.id) })
	if err := c.same(ctx, from); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d messages, the same order at both", len(c.sent)), nil
}

// resume cuts one socket, talks on, and lets it come back at the other edge.
func (c *checker) resume(ctx context.Context) (string, error) {
	cursor, _ := c.two.socket.Cursor(c.room)
	c.two.cut()
	if !c.two.until(ctx, func(p *person) bool { return p.why != nil }) {
		return "", errors.New("the socket that was cut does not notice it")
	}
	var missed []message
	if err := c.send(ctx, c.one, "meanwhile", &missed); err != nil {
		return "", err
	}
	c.sent = append(c.sent, missed...)
	c.two.mend(c.one.address)
	if !c.two.until(ctx, func(p *person) bool { return len(p.joins) > 1 }) {
		return "", fmt.Errorf("the socket that was cut does not come back: %w", cmp.Or(c.two.trouble(), ctx.Err()))
	}
	if joined := c.two.joined(); !joined.Recovered {
		return "", fmt.Errorf("the edge does not resume from entry %d: it answers recovered: false at %d", cursor.Seq, joined.Cursor)
	}
	if err := c.same(ctx, cursor.Seq); err != nil {
		return "", err
	}
	return fmt.Sprintf("cut after entry %d, came back at the other edge and got the %d that it missed", cursor.Seq, len(missed)), nil
}

// send sends some messages, one after the other.
func (c *checker) send(ctx context.Context, p *person, who string, acked *[]message) error {
	for i := range messagesEach {
		body := fmt.Sprintf("check of the release: %s %d", who, i+1)
		id, err := p.socket.Send(ctx, c.room, client.Outgoing{Body: body})
		if err != nil {
			return fmt.Errorf("a message is not acked: %w", cmp.Or(p.trouble(), err))
		}
		*acked = append(*acked, message{id, body})
		if !c.own { // no room of ours goes with it
			c.later(func(ctx context.Context) error {
				_, err := c.rooms.Delete(ctx, c.signIn.AccessToken, c.room, id)
				return err
			})
		}
	}
	return nil
}

// same waits until both have everything that was sent, and then holds what they saw after an entry against
// each other.
func (c *checker) same(ctx context.Context, from chat.Seq) error {
	last := c.sent[len(c.sent)-1].id
	for _, p := range []*person{c.one, c.two} {
		reached := func(p *person) bool { return len(p.entries) > 0 && p.entries[len(p.entries)-1].Seq >= last }
		if !p.until(ctx, reached) {
			return fmt.Errorf("entry %d was acked and is not delivered at %s: %w", last, cmp.Or(p.address, c.Edge), cmp.Or(p.trouble(), ctx.Err()))
		}
	}
	return compare(from, last, c.one.after(from), c.two.after(from), c.sent)
}

// compare finds what is wrong between two who saw a room's entries after from, up to last: holes, an
// order of their own, or a message that is not what was sent.
func compare(from, last chat.Seq, one, two []wire.Event, sent []message) error {
	count := int(last - from)
	if len(one) < count || len(two) < count {
		return fmt.Errorf("of %d entries one socket saw %d and the other %d", count, len(one), len(two))
	}
	bodies := map[chat.Seq]string{}
	for _, m := range sent {
		bodies[m.id] = m.body
	}
	for i := range count {
		a, b := one[i], two[i]
		if want := from + 1 + chat.Seq(i); a.Seq != want || b.Seq != want {
			return fmt.Errorf("where entry %d should be, one socket saw %d and the other %d", want, a.Seq, b.Seq)
		}
		if a.Type != b.Type || a.Message.ID != b.Message.ID {
			return fmt.Errorf("entry %d is not the same at both edges", a.Seq)
		}
		if body, ours := bodies[a.Seq]; ours && (a.Message.Body != body || b.Message.Body != body) {
			return fmt.Errorf("message %d was acked as %q, and is delivered as %q and %q", a.Seq, body, a.Message.Body, b.Message.Body)
		}
	}
	return nil
}

// joined is the latest answer to a join.
func (p *person) joined() client.Joined {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.joins[len(p.joins)-1]
}
