//go:build linux

package bench

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/bench/load"
	"github.com/parley-chat/parley/test/harness"
)

// atOnce is how many calls are under way while the stage is set.
const atOnce = 16

// site is a Parley that accounts and rooms are made on.
type site struct {
	authURL, roomsURL string
	admin             string // the administrator's access token
	guests            []string
	signedIn          time.Time // the admin and, later, the guests
	rooms             int       // how many there are: 0 to rooms-1
}

func caller(base string) *client.HTTP {
	return client.NewHTTP(base, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: atOnce}})
}

// tokensFor is how long tokens are used that live for an hour: no scenario takes the rest of it.
const tokensFor = 25 * time.Minute

// signIn signs the first administrator in where its token is old, and forgets the guests then.
func (s *site) signIn(ctx context.Context) error {
	if time.Since(s.signedIn) < tokensFor {
		return nil
	}
	login, err := caller(s.authURL).Login(ctx, harness.AdminName, harness.AdminPassword)
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	s.admin, s.guests, s.signedIn = login.AccessToken, nil, time.Now()
	return nil
}

// tokens are the access tokens of n different guests.
func (s *site) tokens(ctx context.Context, n int) ([]string, error) {
	missing := n - len(s.guests)
	if missing <= 0 {
		return s.guests[:n], nil
	}
	made := make([]string, missing)
	http := caller(s.authURL)
	err := each(missing, func(i int) error {
		guest, err := http.Guest(ctx, fmt.Sprintf("guest %d", len(s.guests)+i))
		made[i] = guest.AccessToken
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make guests: %w", err)
	}
	s.guests = append(s.guests, made...)
	return s.guests, nil
}

// needRooms makes rooms until there are n.
func (s *site) needRooms(ctx context.Context, n int) error {
	http := caller(s.roomsURL)
	err := each(n-s.rooms, func(i int) error {
		slug := load.Room(s.rooms + i).Slug() //nolint:gosec // some thousands
		_, err := http.CreateRoom(ctx, s.admin, client.NewRoom{Slug: chat.Slug(slug), Name: slug, AllowGuests: true})
		return err
	})
	if err != nil {
		return fmt.Errorf("make rooms: %w", err)
	}
	s.rooms = max(s.rooms, n)
	return nil
}

// each calls do with 0 to n-1, some at once, and returns the first error.
func each(n int, do func(i int) error) error {
	var (
		working sync.WaitGroup
		next    atomic.Int64
		failed  atomic.Pointer[error]
	)
	for range atOnce {
		working.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	working.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
