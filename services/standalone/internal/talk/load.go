package talk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/wire"
)

// Loader loads rooms by HTTP, as whoever comes afresh does.
type Loader struct {
	Base   string
	Tokens client.TokenSource
	HTTP   *http.Client
}

// loadTries bounds how often a page is asked for: what is unavailable just now is there soon.
const loadTries = 20

// Messages loads all messages of a room, oldest first, as they are now.
func (l *Loader) Messages(ctx context.Context, room chat.Slug) (all []chat.Message, err error) {
	api := client.NewHTTP(l.Base, l.HTTP)
	for after := chat.Seq(0); ; {
		var page client.MessagePage
		err = l.try(ctx, func(token string) (err error) {
			page, err = api.Messages(ctx, token, room, client.MessageQuery{After: &after, Limit: 100})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", room, err)
		}
		all = append(all, page.Messages...)
		if !page.HasMore || len(page.Messages) == 0 {
			return all, nil
		}
		after = page.Messages[len(page.Messages)-1].ID
	}
}

// Head is how far a room's log reaches.
func (l *Loader) Head(ctx context.Context, room chat.Slug) (client.Cursor, error) {
	var now chat.Room
	err := l.try(ctx, func(token string) (err error) {
		now, err = client.NewHTTP(l.Base, l.HTTP).Room(ctx, token, room)
		return err
	})
	if err != nil {
		return client.Cursor{}, fmt.Errorf("load %s: %w", room, err)
	}
	return client.Cursor{Log: now.Log, Seq: now.Head}, nil
}

// Log loads a room's log as its events tell it: for where there is no database to look into.
func (l *Loader) Log(ctx context.Context, room chat.Slug) (*Log, error) {
	end, err := l.Head(ctx, room)
	if err != nil {
		return nil, err
	}
	log := &Log{Room: room, Name: end.Log}
	for log.Head() < end.Seq {
		var events []wire.Event
		if err := l.try(ctx, func(token string) (err error) {
			events, err = l.events(ctx, token, log)
			return err
		}); err != nil {
			return nil, fmt.Errorf("load the log of %s: %w", room, err)
		}
		if len(events) == 0 {
			break // the invariants tell of it
		}
		for _, event := range events {
			m := event.Message
			r := Row{Seq: event.Seq, Kind: event.Type, Message: m.ID}
			if event.Type == kindMessage {
				r.Author, r.Nonce, r.Body, r.Deleted = m.Author.ID, m.Nonce, m.Body, m.Deleted
			}
			log.Rows = append(log.Rows, r)
		}
	}
	return log, nil
}

func (l *Loader) events(ctx context.Context, token string, log *Log) ([]wire.Event, error) {
	query := url.Values{"after": {strconv.FormatInt(int64(log.Head()), 10)}, "log": {string(log.Name)}, "wait": {"2"}}
	path := strings.TrimRight(l.Base, "/") + "/api/rooms/" + url.PathEscape(string(log.Room)) + "/events?" + query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := l.HTTP.Do(request)
	if err != nil {
		return nil, chat.Errorf(chat.CodeUnavailable, "%v", err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, chat.Errorf(chat.CodeUnavailable, "%v", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, chat.Errorf(chat.CodeUnavailable, "%s: %.200s", response.Status, content)
	}
	var events []wire.Event
	return events, json.Unmarshal(content, &events)
}

func (l *Loader) try(ctx context.Context, ask func(token string) error) error {
	var err error
	for range loadTries {
		var token client.Token
		if token, err = l.Tokens.Token(ctx, ""); err == nil {
			err = ask(token.Access)
		}
		if code := chat.CodeOf(err); err == nil || ctx.Err() != nil || code != chat.CodeRateLimited && !chat.OutcomeUnknown(err) {
			return err
		}
		_ = wait(ctx, time.Second/2)
	}
	return err
}
