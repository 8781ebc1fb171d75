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

// message is a message that was acked.
type message struct {
	id   chat.Seq
	body string
}

// messagesEach is how many messages each participant sends, and how many are sent while one is disconnected.
const messagesEach = 5

// connect opens a socket at each of two edges and joins the room with both.
func (c *checker) connect(ctx context.Context) (string, error) {
	base, addresses, result := c.Edge, []string{"", ""}, "two sockets through "+c.Edge+", at edges of its choice"
	if len(c.Edges) > 0 {
		found, err := c.edges(ctx)
		if err != nil {
			return "", err
		}
		base, addresses, result = "http://"+c.Edges[0], found, fmt.Sprintf("at the edges %s and %s", found[0], found[1])
		if found[0] == found[1] {
			result = "both at the only edge, " + found[0] + "; the loss of an edge can't be checked"
		}
	}
	tokens := c.auth.Refresher(c.signIn)
	c.one, c.two = newParticipant(base, addresses[0], tokens), newParticipant(base, addresses[1], tokens)
	for _, p := range []*participant{c.one, c.two} {
		p.start(ctx)
		c.deferUndo(func(context.Context) error { p.close(); return nil })
		if err := p.socket.Join(ctx, c.room, client.JoinOptions{}, p); err != nil {
			return "", cmp.Or(p.connectionError(), err)
		}
	}
	return result, nil
}

// edges chooses the addresses of two edges. If there is only one edge, it returns that twice.
func (c *checker) edges(ctx context.Context) ([]string, error) {
	var found []string
	for _, edge := range c.Edges {
		var pods []string
		err := retry(ctx, func() (err error) {
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

// talk makes both participants send at the same time, and compares what they received.
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
	if err := c.compareEntries(ctx, from); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d messages, in the same order at both", len(c.sent)), nil
}

// resume disconnects one socket, sends messages meanwhile, and lets the socket resume at the other edge.
func (c *checker) resume(ctx context.Context) (string, error) {
	cursor, _ := c.two.socket.Cursor(c.room)
	c.two.disconnect()
	if !c.two.waitUntil(ctx, func(p *participant) bool { return p.lastErr != nil }) {
		return "", errors.New("the socket does not notice that it was disconnected")
	}
	var missed []message
	if err := c.send(ctx, c.one, "meanwhile", &missed); err != nil {
		return "", err
	}
	c.sent = append(c.sent, missed...)
	c.two.reconnect(c.one.address)
	if !c.two.waitUntil(ctx, func(p *participant) bool { return len(p.joins) > 1 }) {
		return "", fmt.Errorf("the socket does not reconnect: %w", cmp.Or(c.two.connectionError(), ctx.Err()))
	}
	if joined := c.two.joined(); !joined.Recovered {
		return "", fmt.Errorf("the edge does not resume from entry %d: it answers recovered: false at %d", cursor.Seq, joined.Cursor)
	}
	if err := c.compareEntries(ctx, cursor.Seq); err != nil {
		return "", err
	}
	return fmt.Sprintf("disconnected after entry %d, resumed at the other edge with the %d missed messages", cursor.Seq, len(missed)), nil
}

// send sends messagesEach messages, one after the other.
func (c *checker) send(ctx context.Context, p *participant, label string, acked *[]message) error {
	for i := range messagesEach {
		body := fmt.Sprintf("check of the release: %s %d", label, i+1)
		id, err := p.socket.Send(ctx, c.room, client.Outgoing{Body: body})
		if err != nil {
			return fmt.Errorf("a message is not acked: %w", cmp.Or(p.connectionError(), err))
		}
		*acked = append(*acked, message{id, body})
		if !c.ownRoom { // otherwise the message is deleted with the room
			c.deferUndo(func(ctx context.Context) error {
				_, err := c.rooms.Delete(ctx, c.signIn.AccessToken, c.room, id)
				return err
			})
		}
	}
	return nil
}

// compareEntries waits until both participants have received all sent messages, and then compares their entries after
// from.
func (c *checker) compareEntries(ctx context.Context, from chat.Seq) error {
	last := c.sent[len(c.sent)-1].id
	for _, p := range []*participant{c.one, c.two} {
		reached := func(p *participant) bool { return len(p.entries) > 0 && p.entries[len(p.entries)-1].Seq >= last }
		if !p.waitUntil(ctx, reached) {
			return fmt.Errorf("entry %d was acked but not delivered at %s: %w", last, cmp.Or(p.address, c.Edge), cmp.Or(p.connectionError(), ctx.Err()))
		}
	}
	return compare(from, last, c.one.after(from), c.two.after(from), c.sent)
}

// compare compares the entries from from+1 to last that two participants received. It returns an error for a gap, a
// different order, or a message with another body than was sent.
func compare(from, last chat.Seq, one, two []wire.Event, sent []message) error {
	count := int(last - from)
	if len(one) < count || len(two) < count {
		return fmt.Errorf("of %d entries one socket received %d and the other %d", count, len(one), len(two))
	}
	bodies := map[chat.Seq]string{}
	for _, m := range sent {
		bodies[m.id] = m.body
	}
	for i := range count {
		a, b := one[i], two[i]
		if want := from + 1 + chat.Seq(i); a.Seq != want || b.Seq != want {
			return fmt.Errorf("instead of entry %d, one socket received %d and the other %d", want, a.Seq, b.Seq)
		}
		if a.Type != b.Type || a.Message.ID != b.Message.ID {
			return fmt.Errorf("entry %d differs between the two edges", a.Seq)
		}
		if body, sentHere := bodies[a.Seq]; sentHere && (a.Message.Body != body || b.Message.Body != body) {
			return fmt.Errorf("message %d was acked as %q, but delivered as %q and %q", a.Seq, body, a.Message.Body, b.Message.Body)
		}
	}
	return nil
}

// joined returns the latest answer to a join.
func (p *participant) joined() client.Joined {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.joins[len(p.joins)-1]
}
