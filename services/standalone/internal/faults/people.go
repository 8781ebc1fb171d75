package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/services/standalone/internal/talk"
)

// people sign clients in and make rooms.
type people struct {
	base string
	api  *client.HTTP
	// accounts are made for the clients; else they come as guests, who can't sign in again.
	accounts bool
}

const clientPassword = "battery staple horse"

// signInFor bounds how long somebody tries to sign in, whatever happens to auth meanwhile.
const signInFor = 2 * time.Minute

// signIn signs client n in.
func (p *people) signIn(ctx context.Context, n int) (client.SignIn, error) {
	name := fmt.Sprintf("client-%d", n)
	return p.patiently(ctx, func(ctx context.Context) (client.SignIn, error) {
		if !p.accounts {
			return p.api.Guest(ctx, name)
		}
		signIn, err := p.api.Signup(ctx, name, clientPassword)
		if chat.CodeOf(err) != chat.CodeConflict {
			return signIn, err
		}
		return p.api.Login(ctx, name, clientPassword)
	})
}

// patiently tries until there is an answer that is not for now.
func (p *people) patiently(ctx context.Context, try func(context.Context) (client.SignIn, error)) (client.SignIn, error) {
	ctx, cancel := context.WithTimeout(ctx, signInFor)
	defer cancel()
	for {
		signIn, err := try(ctx)
		refused, ok := errors.AsType[*chat.Error](err)
		if !ok || !chat.OutcomeUnknown(err) && refused.Code != chat.CodeRateLimited {
			return signIn, err
		}
		if pause(ctx, refused.RetryAfter+200*time.Millisecond) != nil {
			return client.SignIn{}, err
		}
	}
}

func (p *people) admin(ctx context.Context, name, password string) (client.SignIn, error) {
	signIn, err := p.patiently(ctx, func(ctx context.Context) (client.SignIn, error) { return p.api.Login(ctx, name, password) })
	if err != nil {
		return client.SignIn{}, fmt.Errorf("the administrator %q can't sign in, so no rooms can be made: %w", name, err)
	}
	return signIn, nil
}

// makeRooms makes rooms for anybody.
func (p *people) makeRooms(ctx context.Context, admin client.SignIn, seed uint64, number int) ([]chat.Slug, error) {
	rooms := make([]chat.Slug, number)
	for i := range rooms {
		rooms[i] = chat.Slug(fmt.Sprintf("talk-%x-%d", seed, i))
		for {
			_, err := p.api.CreateRoom(ctx, admin.AccessToken, client.NewRoom{Slug: rooms[i], Name: string(rooms[i]), AllowGuests: true})
			if refused, ok := errors.AsType[*chat.Error](err); ok && refused.Code == chat.CodeRateLimited && pause(ctx, refused.RetryAfter+time.Second) == nil {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("room %s can't be made: %w", rooms[i], err)
			}
			break
		}
	}
	return rooms, nil
}

// reader is somebody who comes afresh when all is over.
func (p *people) reader(ctx context.Context) (*talk.Loader, error) {
	signIn, err := p.signIn(ctx, -1)
	if err != nil {
		return nil, fmt.Errorf("the reader: %w", err)
	}
	return &talk.Loader{Base: p.base, Tokens: p.keep(signIn, -1), HTTP: &http.Client{Timeout: 30 * time.Second}}, nil
}

// keep keeps client n signed in.
func (p *people) keep(signIn client.SignIn, n int) client.TokenSource {
	return talk.Tokens(p.api, signIn, func(ctx context.Context) (client.SignIn, error) { return p.signIn(ctx, n) })
}
