package client

import (
	"context"
	"sync"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
)

// Token is an access token. A zero Expires means that its expiry is unknown.
type Token struct {
	Access  string
	Expires time.Time
}

// TokenSource provides access tokens.
type TokenSource interface {
	// Token returns a token that is valid now and differs from stale. Stale is the token that the server refused or
	// that is about to expire, "" for none. chat.CodeUnauthenticated means that there will never be a token again.
	Token(ctx context.Context, stale string) (Token, error)
}

// StaticToken is a TokenSource with one token that can't be renewed.
type StaticToken string

// Token implements TokenSource.
func (t StaticToken) Token(_ context.Context, stale string) (Token, error) {
	if stale == string(t) {
		return Token{}, chat.Errorf(chat.CodeUnauthenticated, "the server refused the token, and a static token can't be renewed; sign in again")
	}
	return Token{Access: string(t)}, nil
}

// Refresher is a TokenSource that uses the refresh token to get a new access token when the old one expires.
type Refresher struct {
	http *HTTP

	mu      sync.Mutex // held during a refresh, because a refresh token works once
	signIn  SignIn
	expires time.Time
}

// Refresher returns a TokenSource for a sign-in that has just happened.
func (c *HTTP) Refresher(signIn SignIn) *Refresher {
	return &Refresher{http: c, signIn: signIn, expires: signIn.Expires(time.Now())}
}

// minLife is how long a token must still be valid to be returned.
const minLife = 5 * time.Second

// Token implements TokenSource.
func (r *Refresher) Token(ctx context.Context, stale string) (Token, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.signIn.AccessToken == stale || time.Until(r.expires) < minLife {
		signIn, err := r.http.Refresh(ctx, r.signIn.RefreshToken)
		if err != nil {
			return Token{}, err
		}
		r.signIn, r.expires = signIn, signIn.Expires(time.Now())
	}
	return Token{Access: r.signIn.AccessToken, Expires: r.expires}, nil
}
