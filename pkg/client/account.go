package client

import (
	"context"
	"net/http"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
)

// SignIn is the response to a sign-up or sign-in.
type SignIn struct {
	AccessToken  string    `json:"access_token"`
	ExpiresIn    int64     `json:"expires_in"` // seconds
	RefreshToken string    `json:"refresh_token"`
	User         chat.User `json:"user"`
}

type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// Signup creates an account and signs it in.
func (c *HTTP) Signup(ctx context.Context, username, password string) (SignIn, error) {
	return c.signIn(ctx, "signup", credentials{username, password})
}

// Login signs an account in.
func (c *HTTP) Login(ctx context.Context, username, password string) (SignIn, error) {
	return c.signIn(ctx, "login", credentials{username, password})
}

// Guest signs in a guest, who has no account.
func (c *HTTP) Guest(ctx context.Context, name string) (SignIn, error) {
	return c.signIn(ctx, "guest", map[string]string{"name": name})
}

// Refresh exchanges a refresh token for a new one and a new access token.
func (c *HTTP) Refresh(ctx context.Context, refreshToken string) (SignIn, error) {
	return c.signIn(ctx, "refresh", map[string]string{"refresh_token": refreshToken})
}

// Logout ends the session of token.
func (c *HTTP) Logout(ctx context.Context, token string) error {
	return c.call(ctx, http.MethodPost, "/api/auth/logout", token, nil, nil)
}

// Me returns the user of the token.
func (c *HTTP) Me(ctx context.Context, token string) (chat.User, error) {
	var answer struct {
		User chat.User `json:"user"`
	}
	err := c.call(ctx, http.MethodGet, "/api/auth/me", token, nil, &answer)
	return answer.User, err
}

// CreateUser creates an account for somebody else. It needs the token of a staff user.
func (c *HTTP) CreateUser(ctx context.Context, token, username, password string, staff bool) error {
	body := struct {
		credentials

		Staff bool `json:"staff"`
	}{credentials{username, password}, staff}
	return c.call(ctx, http.MethodPost, "/api/auth/users", token, body, nil)
}

func (c *HTTP) signIn(ctx context.Context, how string, body any) (SignIn, error) {
	var answer SignIn
	err := c.call(ctx, http.MethodPost, "/api/auth/"+how, "", body, &answer)
	return answer, err
}

// Expires returns when the access token expires, if it was issued at the given time.
func (s SignIn) Expires(at time.Time) time.Time {
	return at.Add(time.Duration(s.ExpiresIn) * time.Second)
}
