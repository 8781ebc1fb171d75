// Package check checks that people can talk. It signs in, opens sockets at two edges, sends from both, cuts one socket
// and resumes it at the other edge, and removes everything that it created. It prints each step, and at the first
// failure what is wrong and where to look.
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

// Options configure a check.
type Options struct {
	Auth, Rooms string // base URLs
	Web         string // base URL; "" skips it
	// Edges are the edges as host:port. A host with several addresses stands for several edges. If empty, Edge is
	// used.
	Edges []string
	Edge  string // base URL of a load balancer

	Account       Account // to sign in as; empty: as a guest
	MakeAccount   bool    // create Account if it does not exist
	Administrator Account // creates Account; empty: Account signs itself up

	Admin []string  // admin listeners of pods that use Redis, as host:port like Edges
	Room  chat.Slug // for users who may not create a room
	Out   io.Writer
}

// step is one thing that must work. Advice says where to look if it fails.
type step struct {
	name   string
	run    func(context.Context) (result string, err error)
	advice string
}

// checker is the state of a running check.
type checker struct {
	Options

	auth, rooms *client.HTTP
	signIn      client.SignIn
	room        chat.Slug
	ownRoom     bool // this check created the room, and deletes it with its messages
	one, two    *participant
	sent        []message

	mu   sync.Mutex                    // both participants send at the same time
	undo []func(context.Context) error // runs in reverse order
}

// deferUndo registers an undo function that runs after the check.
func (c *checker) deferUndo(undo func(context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.undo = append(c.undo, undo)
}

const (
	callTimeout = 10 * time.Second
	undoTimeout = 15 * time.Second
	retryDelay  = time.Second
)

// Run runs the check. It retries each step until ctx ends, because a new release takes a while to start.
func Run(ctx context.Context, o Options) (err error) {
	calls := &http.Client{Timeout: callTimeout}
	c := &checker{Options: o, auth: client.NewHTTP(o.Auth, calls), rooms: client.NewHTTP(o.Rooms, calls), room: o.Room}
	defer func() {
		if undone := c.cleanUp(ctx); err == nil {
			err = undone
		}
	}()
	for _, s := range []step{
		{"web", c.checkPage, "the web pods, and their Service"},
		{"stores", c.checkReadiness, "the log of the pods that it names"},
		{"sign in", c.signInStep, "the log of the auth pods: do they reach PostgreSQL?"},
		{"room", c.makeRoom, "the log of the rooms pods: do they reach PostgreSQL and auth?"},
		{"sockets", c.connect, "the log of the edge pods: do they reach auth and rooms?"},
		{"talk", c.talk, "the log of the edge and rooms pods: do the edges reach Redis and rooms?"},
		{"resume", c.resume, "the log of the edge pods"},
		{"history", c.history, "the log of the rooms pods"},
	} {
		start := time.Now()
		result, err := s.run(ctx)
		if err != nil {
			return fmt.Errorf("FAILED at %s: %w\nLook at: %s", s.name, err, s.advice)
		}
		c.printf("%-8s %s (%d ms)", s.name, result, time.Since(start).Milliseconds())
	}
	return nil
}

func (c *checker) printf(format string, args ...any) { _, _ = fmt.Fprintf(c.Out, format+"\n", args...) }

// cleanUp runs the undo functions in reverse order, even if ctx has ended.
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

// checkPage requests the web page.
func (c *checker) checkPage(ctx context.Context) (string, error) {
	if c.Web == "" {
		return "skipped", nil
	}
	err := retry(ctx, func() error {
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
			return chat.Errorf(chat.CodeUnavailable, "%s answers %s, %s, instead of the web page", request.URL, response.Status, kind)
		}
		return nil
	})
	return "the page is served", err
}

// makeRoom creates a room for the check. A user who may not create rooms uses an existing one.
func (c *checker) makeRoom(ctx context.Context) (string, error) {
	token := c.signIn.AccessToken
	if c.signIn.User.Kind != chat.KindGuest {
		own := chat.Slug("check-" + randomSuffix())
		err := retry(ctx, func() error {
			_, err := c.rooms.CreateRoom(ctx, token, client.NewRoom{Slug: own, Name: "Check of the release", StaffOnly: c.signIn.User.Staff})
			return err
		})
		if err == nil {
			c.room, c.ownRoom = own, true
			c.deferUndo(func(ctx context.Context) error { return c.rooms.DeleteRoom(ctx, token, own) })
			return "created " + string(own), nil
		}
		if chat.CodeOf(err) != chat.CodeForbidden {
			return "", err
		}
	}
	err := retry(ctx, func() error {
		_, err := c.rooms.Room(ctx, token, c.room)
		return err
	})
	if chat.CodeOf(err) == chat.CodeNotFound {
		err = fmt.Errorf("there is no room %s that a %s may join: choose another one with --room, or give an account that may create rooms in PARLEY_CHECK_USER: %w", c.room, c.signIn.User.Kind, err)
	}
	return fmt.Sprintf("talks in %s, as a %s", c.room, c.signIn.User.Kind), err
}

// history asks the rooms service for what was sent.
func (c *checker) history(ctx context.Context) (string, error) {
	err := retry(ctx, func() error {
		after := c.sent[0].id - 1
		for _, m := range c.sent { // the order of acks may differ from the order of ids
			after = min(after, m.id-1)
		}
		page, err := c.rooms.Messages(ctx, c.signIn.AccessToken, c.room, client.MessageQuery{After: &after, Limit: 2 * len(c.sent)})
		if err != nil {
			return err
		}
		bodies := map[chat.Seq]string{}
		for _, m := range page.Messages {
			bodies[m.ID] = m.Body
		}
		for _, m := range c.sent {
			if bodies[m.id] != m.body {
				return fmt.Errorf("message %d was acked as %q, but the history has %q", m.id, m.body, bodies[m.id])
			}
		}
		return nil
	})
	return fmt.Sprintf("has all %d messages", len(c.sent)), err
}

// retry repeats a call while its error is CodeUnavailable or CodeRateLimited.
func retry(ctx context.Context, try func() error) error {
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
		case <-time.After(max(retryDelay, chat.Public(err).RetryAfter)): //nolint:forbidigo // one timer, in a select with ctx
		case <-ctx.Done():
			return last
		}
	}
}

func randomSuffix() string { return strings.ToLower(rand.Text()[:12]) }
