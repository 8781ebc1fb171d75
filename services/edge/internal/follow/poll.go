package follow

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/edge/internal/access"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// Times of those who follow at their own pace.
const (
	maxWait = 60 * time.Second
	// recheck is how often a reader's right to read is looked at while nothing happens.
	recheck = time.Second
)

// follower is somebody who reads one room at its own pace, by long poll or in a stream.
type follower struct {
	server  *Server
	caller  *webapi.Caller
	slug    chat.Slug
	after   chat.Seq
	log     chat.LogID
	room    *room.Room // nil until entered
	watcher *room.Watcher
}

// logHeader names the log that a poll's answer is of, so that one who has only a cursor notices another log.
const logHeader = "Parley-Log"

// poll answers with the events after a cursor as soon as there are any.
func (s *Server) poll(c *fiber.Ctx) error {
	caller, address, err := s.caller(c)
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
	release, err := s.open.polls.take(address, caller.User.ID)
	if err != nil {
		return err
	}
	defer release()
	f := &follower{server: s, caller: caller, slug: chat.Slug(c.Params("slug")), after: after, log: chat.LogID(c.Query("log")), watcher: room.NewWatcher()}
	defer f.stop()
	s.polling.Inc()
	defer s.polling.Dec()
	events, err := f.await(c.UserContext(), wait, watch(c.Context().Conn()))
	if err != nil {
		return err
	}
	if f.room == nil { // the client is gone
		return nil
	}
	c.Set(logHeader, string(f.room.Key.Log))
	return c.JSON(events)
}

// await returns the events after the follower's cursor as soon as there are any, none when wait is over, the
// edge drains or the client is gone.
func (f *follower) await(ctx context.Context, wait time.Duration, client *client) ([]json.RawMessage, error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	ticker := time.NewTicker(recheck)
	defer ticker.Stop()
	for over := wait == 0; ; {
		if client.gone() { // before the log is read for nobody
			return nil, nil
		}
		events, err := f.next(ctx)
		if err != nil || len(events) > 0 || over || f.server.Drain.HasBegun() {
			return events, err
		}
		select {
		case <-f.watcher.C:
		case <-ticker.C:
		case <-f.server.Drain.Begun():
		case <-deadline.C:
			over = true
		}
	}
}

// caller finds out who wants to follow, and from which address, within the limit of new followers. Nobody
// signed in is a guest without a name.
func (s *Server) caller(c *fiber.Ctx) (caller *webapi.Caller, address string, err error) {
	if caller, err = s.Authenticator.Caller(c); err != nil {
		return nil, "", err
	}
	address = webapi.IPKey(webapi.ClientIP(c))
	key := address
	if caller == nil {
		caller = &webapi.Caller{Claims: token.Claims{Tenant: chat.DefaultTenant, User: chat.User{Kind: chat.KindGuest}}}
	} else {
		key = string(caller.User.ID)
	}
	return caller, address, s.started.Allow(key)
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
	s := f.server
	var err error
	if f.caller.Token != "" {
		if _, err = s.Authenticator.Verifier.Verify(ctx, f.caller.Token); err != nil {
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
		events, f.after, err = s.Feed.Since(ctx, f.room, access.ReaderOf(f.caller.Claims), f.after, f.log)
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
		return room.ErrGone
	}
	r, err := f.server.Access.Enter(ctx, f.caller.Claims, f.caller.Token, f.slug)
	if err != nil {
		return err
	}
	r.Watch(f.watcher)
	f.server.Feed.Rooms.Release(r) // a watched room stays open
	f.server.Feed.CatchUp(ctx, r)
	f.room = r
	return nil
}

func (f *follower) stop() {
	if f.room != nil {
		f.room.Unwatch(f.watcher)
		f.room = nil
	}
}
