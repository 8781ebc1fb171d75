package client

import (
	"context"
	"sync"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
)

// Token is an access token and when it ends; a zero Expires is not known.
type Token struct {
	Access  string
	Expires time.Time
}

// TokenSource hands out access tokens.
type TokenSource interface {
	// Token returns a token that is good now and is not stale, the one that the caller holds already
	// or that was refused ("" for none). chat.CodeUnauthenticated says that there will never be one again.
	Token(ctx context.Context, stale string) (Token, error)
}

// StaticToken is a token that can't be renewed.
type StaticToken string

// Token implements TokenSource.
func (t StaticToken) Token(_ context.Context, stale string) (Token, error) {
	if stale == string(t) {
		return Token{}, chat.Errorf(chat.CodeUnauthenticated, "the token was refused, and there is no other")
	}
	return Token{Access: string(t)}, nil
}

// Keeper keeps somebody signed in: it trades the refresh token when the access token ends.
type Keeper struct {
	http *HTTP

	mu      sync.Mutex // held during a trade: a refresh token is used once
	signIn  SignIn
	expires time.Time
}

// Keep starts from a sign-in of just now.
func (c *HTTP) Keep(signIn SignIn) *Keeper {
	return &Keeper{http: c, signIn: signIn, expires: signIn.Expires(time.Now())}
}

// leastLife is how long a token must live to be handed out.
const leastLife = 5 * time.Second

// Token implements TokenSource.
func (k *Keeper) Token(ctx context.Context, stale string) (Token, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.signIn.AccessToken == stale || time.Until(k.expires) < leastLife {
		signIn, err := k.http.Refresh(ctx, k.signIn.RefreshToken)
		if err != nil {
			return Token{}, err
		}
		k.signIn, k.expires = signIn, signIn.Expires(time.Now())
	}
	return Token{Access: k.signIn.AccessToken, Expires: k.expires}, nil
}
