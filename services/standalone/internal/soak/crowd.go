//go:build linux

package soak

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
)

// crowd is clients that come, do this and that, and go again.
type crowd struct {
	base  string
	api   *client.HTTP
	http  *http.Client // for what client.HTTP has no call for: polls and event streams
	seed  uint64
	admin *client.Refresher
	there atomic.Int64 // who are there just now
	rooms *rooms
	notes notes
}

const (
	lastingRooms  = 10
	passingRooms  = 4 // at a time; each is made and deleted
	passingEvery  = 20 * time.Second
	accounts      = 60
	userPassword  = "battery staple horse"
	answerTimeout = 10 * time.Second
)

// newCrowd makes the rooms that last.
func newCrowd(ctx context.Context, base string, seed uint64, api *client.HTTP) (*crowd, error) {
	c := &crowd{base: base, api: api, seed: seed, http: &http.Client{}, rooms: &rooms{}, notes: notes{counts: map[string]int{}}}
	admin, err := api.Login(ctx, adminUser, adminPassword)
	if err != nil {
		return nil, fmt.Errorf("the administrator: %w", err)
	}
	c.admin = api.Refresher(admin)
	for n := range lastingRooms {
		slug := chat.Slug(fmt.Sprintf("lasting-%d", n))
		if _, err := api.CreateRoom(ctx, admin.AccessToken, client.NewRoom{Slug: slug, Name: string(slug), AllowGuests: n%2 == 0}); err != nil {
			return nil, fmt.Errorf("room %s: %w", slug, err)
		}
		c.rooms.add(slug)
	}
	return c, nil
}

// run keeps that many seats taken until ctx ends, and returns when the last one has left.
func (c *crowd) run(ctx context.Context, seats int) {
	var all sync.WaitGroup
	all.Go(func() { c.makeAndDelete(ctx) })
	for n := range seats {
		all.Go(func() {
			v := &visitor{crowd: c, random: rand.New(rand.NewPCG(c.seed, uint64(n))), name: fmt.Sprintf("walker-%d", n%accounts)} //nolint:gosec // to be repeated by its seed
			for ctx.Err() == nil {
				_ = pause(ctx, v.about(2*time.Second))
				if ctx.Err() != nil {
					return
				}
				c.there.Add(1)
				v.visit(ctx)
				c.there.Add(-1)
			}
		})
	}
	all.Wait()
	c.http.CloseIdleConnections()
}

// makeAndDelete has rooms come and go, with whoever is in them.
func (c *crowd) makeAndDelete(ctx context.Context) {
	var passing []chat.Slug
	for n := 0; pause(ctx, passingEvery) == nil; n++ {
		token, err := c.admin.Token(ctx, "")
		c.notes.tell("admin's token", err)
		slug := chat.Slug(fmt.Sprintf("passing-%d", n))
		_, err = c.api.CreateRoom(ctx, token.Access, client.NewRoom{Slug: slug, Name: string(slug), AllowGuests: true})
		if c.notes.tell("rooms made", err) {
			passing = append(passing, slug)
			c.rooms.add(slug)
		}
		if len(passing) > passingRooms {
			c.rooms.remove(passing[0])
			c.notes.tell("rooms deleted", c.api.DeleteRoom(ctx, token.Access, passing[0]))
			passing = passing[1:]
		}
	}
}

// String is what the crowd did so far.
func (c *crowd) String() string { return c.notes.String() }

// rooms are those that are there.
type rooms struct {
	mu   sync.Mutex
	list []chat.Slug
}

func (r *rooms) add(slug chat.Slug) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, slug)
}

func (r *rooms) remove(slug chat.Slug) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(r.list, func(other chat.Slug) bool { return other == slug })
}

// some returns n of them, each once.
func (r *rooms) some(random *rand.Rand, n int) []chat.Slug {
	r.mu.Lock()
	defer r.mu.Unlock()
	var chosen []chat.Slug
	for _, i := range random.Perm(len(r.list))[:min(n, len(r.list))] {
		chosen = append(chosen, r.list[i])
	}
	return chosen
}

// notes count what was done and what was refused.
type notes struct {
	mu     sync.Mutex
	counts map[string]int
}

// tell notes the outcome of a call and says whether it was a success. The end of the soak is neither.
func (n *notes) tell(what string, err error) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch refused, ok := errors.AsType[*chat.Error](err); {
	case err == nil:
		n.counts[what]++
	case ok:
		n.counts[what+" refused as "+string(refused.Code)]++
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, client.ErrClosed):
		n.counts["given up"]++
	default:
		n.counts[what+" broken: "+err.Error()]++
	}
	return err == nil
}

// calls are all, and refused those that were refused with the code; broken had no answer of Parley's.
func (n *notes) calls() (all int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, count := range n.counts {
		all += count
	}
	return all
}

func (n *notes) refused(code chat.Code) int { return n.sum("refused as " + string(code)) }

func (n *notes) broken() int { return n.sum(" broken: ") }

func (n *notes) sum(having string) (all int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for what, count := range n.counts {
		if strings.Contains(what, having) {
			all += count
		}
	}
	return all
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(n.counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", n.counts[what], what))
	}
	return strings.Join(parts, ", ")
}
