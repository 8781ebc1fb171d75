//go:build linux

package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
)

// byPolls follows a room by long polls, and hangs up in the middle of some.
func (v *visitor) byPolls(ctx context.Context) {
	signIn, ok := v.signIn(ctx)
	if !ok {
		return
	}
	for _, room := range v.crowd.rooms.some(v.random, 1) {
		now, err := v.crowd.api.Room(ctx, signIn.AccessToken, room)
		if !v.crowd.notes.tell("looked a room up", err) {
			continue
		}
		after := now.Head
		for range 2 + v.random.IntN(6) {
			query := url.Values{"after": {strconv.FormatInt(int64(after), 10)}, "log": {string(now.Log)}, "wait": {strconv.Itoa(1 + v.random.IntN(15))}}
			limit := 25 * time.Second
			if v.random.IntN(4) == 0 {
				limit = v.about(time.Second)
			}
			var events []struct {
				Seq chat.Seq `json:"seq"`
			}
			err := v.fetch(ctx, limit, "/api/rooms/"+string(room)+"/events?"+query.Encode(), signIn.AccessToken, func(body io.Reader) error {
				return json.NewDecoder(body).Decode(&events)
			})
			if !v.crowd.notes.tell("polls", err) && ctx.Err() != nil || chat.CodeOf(err) == chat.CodeNotFound {
				return
			}
			if len(events) > 0 {
				after = events[len(events)-1].Seq
			}
		}
	}
	v.maybeLogOut(ctx, v.crowd.api.Refresher(signIn))
}

// byStream follows some rooms as a stream of events until it hangs up.
func (v *visitor) byStream(ctx context.Context) {
	signIn, ok := v.signIn(ctx)
	if !ok {
		return
	}
	query := url.Values{}
	for _, room := range v.crowd.rooms.some(v.random, 1+v.random.IntN(3)) {
		now, err := v.crowd.api.Room(ctx, signIn.AccessToken, room)
		if v.crowd.notes.tell("looked a room up", err) {
			query.Add("room", string(room))
			query.Add("after", strconv.FormatInt(int64(now.Head), 10))
		}
	}
	if len(query) == 0 {
		return
	}
	err := v.fetch(ctx, v.about(25*time.Second), "/sse?"+query.Encode(), signIn.AccessToken, func(body io.Reader) error {
		_, err := io.Copy(io.Discard, body)
		return err
	})
	v.crowd.notes.tell("streams", err)
}

// fetch gets a path and reads the answer for as long as limit allows.
func (v *visitor) fetch(ctx context.Context, limit time.Duration, path, token string, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, v.crowd.base+path, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := v.crowd.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		var answer struct {
			Error struct {
				Code chat.Code `json:"code"`
			} `json:"error"`
		}
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Error.Code == "" {
			return fmt.Errorf("%s answers %s", path, response.Status)
		}
		return chat.Errorf(answer.Error.Code, "%s", response.Status)
	}
	return read(response.Body)
}
