// Package check finds out whether people can talk: it signs in, opens sockets at two edges, sends from
// both, cuts one and has it resume at the other, and takes away again what it made. It says what it
// does as it goes, and at the first failure what is wrong and what to do.
package check

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
)

// Options say what to check, and as whom.
type Options struct {
	Auth, Rooms string // base URLs
	Web         string // "": not looked at
	// Edges are the edges as host:port; a host with several addresses is several edges. None: whichever
	// edge Edge leads to.
	Edges []string
	Edge  string // base URL

	Account       Account // whom to sign in as; nobody: a guest
	MakeAccount   bool    // make it where it is not there
	Administrator Account // who makes it; nobody: it signs itself up

	Admin []string  // admin listeners of pods that use Redis, as host:port like Edges
	Room  chat.Slug // where somebody talks who may make no room
	Out   io.Writer
}

// step is one thing that must work. Advice is what to look at if it does not.
type step struct {
	name   string
	run    func(context.Context) (said string, err error)
	advice string
}

// checker is a check under way.
type checker struct {
	Options

	auth, rooms *client.HTTP
	signIn      client.SignIn
	room        chat.Slug
	own         bool // the room was made here, and goes with all that was said in it
	one, two    *person
	sent        []message

	mu   sync.Mutex                    // two people send at the same time
	undo []func(context.Context) error // in the order of doing
}

// later has something undone when the check is over.
func (c *checker) later(undo func(context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.undo = append(c.undo, undo)
}

const (
	callTimeout = 10 * time.Second
	undoTimeout = 15 * time.Second
	tryEvery    = time.Second
)

// Run checks. What has just been installed may take a while to come up: each step is tried until ctx
// ends.
func Run(ctx context.Context, o Options) (err error) {
	calls := &http.Client{Timeout: callTimeout}
	c := &checker{Options: o, auth: client.NewHTTP(o.Auth, calls), rooms: client.NewHTTP(o.Rooms, calls), room: o.Room}
	defer func() {
		if undone := c.cleanUp(ctx); err == nil {
			err = undone
		}
	}()
	for _, s := range []step{
		{"web", c.look, "the web pods, and their Service"},
		{"stores", c.ready, "the log of the pods that it names"},
		{"sign in", c.enter, "the log of the auth pods: do they reach PostgreSQL?"},
		{"room", c.makeRoom, "the log of the rooms pods: do they reach PostgreSQL and auth?"},
		{"sockets", c.connect, "the log of the edge pods: do they reach auth and rooms?"},
		{"talk", c.talk, "the log of the edge and rooms pods: do the edges reach Redis and rooms?"},
		{"resume", c.resume, "the log of the edge pods"},
		{"history", c.history, "the log of the rooms pods"},
	} {
		began := time.Now()
		said, err := s.run(ctx)
		if err != nil {
			return fmt.Errorf("FAILED at %s: %w\nLook at: %s", s.name, err, s.advice)
		}
		c.say("%-8s %s (%d ms)", s.name, said, time.Since(began).Milliseconds())
	}
	return nil
}

func (c *checker) say(format string, args ...any) { _, _ = fmt.Fprintf(c.Out, format+"\n", args...) }

// cleanUp takes away what was made, the latest first, also after ctx has ended.
func (c *checker) cleanUp(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	for _, undo := range slices.Backward(c.undo) {
		if undone := undo(ctx); undone != nil && err == nil {
			err = fmt.Errorf("FAILED at cleaning up: %w", undone)
		}
	}
	return err
}

// look asks for the page.
func (c *checker) look(ctx context.Context) (string, error) {
	if c.Web == "" {
		return "not asked for", nil
	}
	err := patiently(ctx, func() error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(c.Web, "/")+"/", http.NoBody)
		if err != nil {
			return err
		}
		response, err := (&http.Client{Timeout: callTimeout}).Do(request)
		if err != nil {
			return chat.Errorf(chat.CodeUnavailable, "%v", err)
		}
		defer func() { _ = response.Body.Close() }()
		if kind := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/html") {
			return chat.Errorf(chat.CodeUnavailable, "%s answers %s, %s, where the page should be", request.URL, response.Status, kind)
		}
		return nil
	})
	return "the page is served", err
}

// makeRoom makes a room of our own. Who may not, a guest or an account, makes do with one that is there.
func (c *checker) makeRoom(ctx context.Context) (string, error) {
	token := c.signIn.AccessToken
	if c.signIn.User.Kind != chat.KindGuest {
		own := chat.Slug("check-" + tag())
		err := patiently(ctx, func() error {
			_, err := c.rooms.CreateRoom(ctx, token, client.NewRoom{Slug: own, Name: "Check of the release", StaffOnly: c.signIn.User.Staff})
			return err
		})
		if err == nil {
			c.room, c.own = own, true
			c.later(func(ctx context.Context) error { return c.rooms.DeleteRoom(ctx, token, own) })
			return "made " + string(own), nil
		}
		if chat.CodeOf(err) != chat.CodeForbidden {
			return "", err
		}
	}
	err := patiently(ctx, func() error {
		_, err := c.rooms.Room(ctx, token, c.room)
		return err
	})
	if chat.CodeOf(err) == chat.CodeNotFound {
		err = fmt.Errorf("there is no room %s that %ss may join: name another in --room, or give an account that may make rooms in PARLEY_CHECK_USER: %w", c.room, c.signIn.User.Kind, err)
	}
	return fmt.Sprintf("talks in %s, as a %s", c.room, c.signIn.User.Kind), err
}

// history asks the rooms service for what was sent.
func (c *checker) history(ctx context.Context) (string, error) {
	err := patiently(ctx, func() error {
		after := c.sent[0].id - 1
		for _, m := range c.sent { // in the order of their acks, which may be another one
			after = min(after, m.id-1)
		}
		page, err := c.rooms.Messages(ctx, c.signIn.AccessToken, c.room, client.MessageQuery{After: &after, Limit: 2 * len(c.sent)})
		if err != nil {
			return err
		}
		there := map[chat.Seq]string{}
		for _, m := range page.Messages {
			there[m.ID] = m.Body
		}
		for _, m := range c.sent {
			if there[m.id] != m.body {
				return fmt.Errorf("message %d was acked as %q, and the history has %q", m.id, m.body, there[m.id])
			}
		}
		return nil
	})
	return fmt.Sprintf("has all %d messages", len(c.sent)), err
}

// patiently tries again while the outcome is that there is nobody there, or too much to do.
func patiently(ctx context.Context, try func() error) error {
	var last error
	for {
		err := try()
		code := chat.CodeOf(err)
		if code != chat.CodeUnavailable && code != chat.CodeRateLimited {
			if last != nil && ctx.Err() != nil {
				return last
			}
			return err
		}
		last = err
		select {
		case <-time.After(max(tryEvery, chat.Public(err).RetryAfter)): //nolint:forbidigo // one timer, in a select with ctx
		case <-ctx.Done():
			return last
		}
	}
}

func tag() string { return strings.ToLower(rand.Text()[:12]) }
