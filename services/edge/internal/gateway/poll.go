package gateway

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/edge/internal/hub"
	"github.com/parley-chat/parley/services/edge/internal/session"
)

// Times of those who follow at their own pace.
const (
	maxWait = 60 * time.Second
	// recheck is how often a reader's right to read is looked at while nothing happens.
	recheck = time.Second
)

// follower is somebody who reads one room at its own pace, by long poll or in a stream.
type follower struct {
	gateway *Gateway
	caller  *webapi.Caller
	slug    chat.Slug
	after   chat.Seq
	log     chat.LogID
	room    *hub.Room // nil until entered
	watcher *hub.Watcher
}

// poll answers with the events after a cursor as soon as there are any.
func (g *Gateway) poll(c *fiber.Ctx) error {
	caller, err := g.reader(c)
	if err != nil {
		return err
	}
	after, err := cursor(c.Query("after", "0"))
	if err != nil {
		return err
	}
	wait, err := waiting(c.Query("wait", "25"))
	if err != nil {
		return err
	}
	f := &follower{gateway: g, caller: caller, slug: chat.Slug(c.Params("slug")), after: after, log: chat.LogID(c.Query("log")), watcher: hub.NewWatcher()}
	defer f.stop()
	g.metrics.polling.Inc()
	defer g.metrics.polling.Dec()

	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	ticker := time.NewTicker(recheck)
	defer ticker.Stop()
	for {
		events, err := f.next(c.UserContext())
		if err != nil {
			return err
		}
		if len(events) > 0 || wait == 0 || g.isDraining() {
			return c.JSON(events)
		}
		select {
		case <-f.watcher.C:
		case <-ticker.C:
		case <-g.draining:
		case <-deadline.C:
			wait = 0
		}
	}
}

// reader finds out who wants to follow, within the limit of new followers. Nobody signed in is a guest
// without a name.
func (g *Gateway) reader(c *fiber.Ctx) (*webapi.Caller, error) {
	caller, err := g.auth.Caller(c)
	if err != nil {
		return nil, err
	}
	key := webapi.IPKey(webapi.ClientIP(c))
	if caller == nil {
		caller = &webapi.Caller{Claims: token.Claims{Tenant: chat.DefaultTenant, User: chat.User{Kind: chat.KindGuest}}}
	} else {
		key = string(caller.User.ID)
	}
	return caller, g.polls.Allow(key)
}

func cursor(text string) (chat.Seq, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || chat.Seq(n) > chat.MaxSeq {
		return 0, chat.Errorf(chat.CodeBadRequest, `"after" is a cursor: 0 or more`)
	}
	return chat.Seq(n), nil
}

func waiting(text string) (time.Duration, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, chat.Errorf(chat.CodeBadRequest, `"wait" is a number of seconds`)
	}
	return time.Duration(min(n, int(maxWait.Seconds()))) * time.Second, nil
}

// next returns the events after the follower's cursor and moves it, none if there are none yet. The
// caller's token and access are looked at each time.
func (f *follower) next(ctx context.Context) ([]json.RawMessage, error) {
	g := f.gateway
	var err error
	if f.caller.Token != "" {
		if _, err = g.auth.Verifier.Verify(ctx, f.caller.Token); err != nil {
			return nil, err
		}
	}
	const tries = 4
	for range tries {
		if f.room == nil {
			if err = f.enter(ctx); err != nil && chat.CodeOf(err) != chat.CodeUnavailable {
				return nil, err
			}
			if err != nil {
				continue
			}
		}
		var events []json.RawMessage
		events, f.after, err = g.shared.Hub.Since(ctx, f.room, roomsapi.Class(f.caller.User), f.after, f.log)
		switch chat.CodeOf(err) { //nolint:exhaustive // what is not named here is passed on
		case "":
			return events, nil
		case chat.CodeUnavailable, chat.CodeNotFound: // ask again
			f.stop()
		default:
			return nil, err
		}
	}
	return nil, err
}

func (f *follower) enter(ctx context.Context) error {
	if !f.slug.Valid() {
		return hub.ErrGone
	}
	room, _, err := session.Enter(ctx, f.gateway.shared, f.caller.Tenant, f.caller.User, f.caller.Token, f.slug)
	if err != nil {
		return err
	}
	room.Watch(f.watcher)
	f.gateway.shared.Hub.Release(room) // a watched room stays open
	f.room = room
	return nil
}

func (f *follower) stop() {
	if f.room != nil {
		f.room.Unwatch(f.watcher)
		f.room = nil
	}
}
