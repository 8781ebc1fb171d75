// Package token makes and verifies Parley's access tokens: short-lived JWTs, signed by auth with
// Ed25519 and verified everywhere by its published keys. A token names its session and its user's
// generation, so that whoever follows auth's lobby can refuse it before it ends (Revocations).
package token

import (
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/parley-chat/parley/pkg/chat"
)

// What every token of Parley has in common.
const (
	// Audience is the "aud" that a token is for.
	Audience = "parley"
	// Type is the "typ" header (RFC 9068), so that no other kind of JWT signed with the same key passes.
	Type = "at+jwt"
	// MaxLifetime is the longest that a token may live. It is a constant, not configuration, because it
	// is also how long every service remembers revocations: a token outliving that memory would come back to life.
	MaxLifetime = time.Hour
	// Skew is how far the clocks of two pods may be apart.
	Skew = 30 * time.Second
	// maxBytes bounds what is parsed at all. A real token has about 500.
	maxBytes = 4 << 10
)

// Claims are what a token says, once verified.
type Claims struct {
	Tenant     chat.TenantID
	User       chat.User
	Session    chat.SessionID
	Generation int64     // tokens below the user's current generation are void
	Issued     time.Time // whole seconds
	Expires    time.Time // whole seconds
}

// payload is Claims as the token carries them.
type payload struct {
	jwt.Claims

	Session    chat.SessionID `json:"sid"`
	Generation int64          `json:"gen"`
	Tenant     chat.TenantID  `json:"tenant"`
	Name       string         `json:"name"`
	Kind       chat.UserKind  `json:"kind"`
	Staff      bool           `json:"staff,omitempty"`
}

func payloadOf(c Claims, issuer string) payload {
	return payload{
		Claims: jwt.Claims{
			Issuer:    issuer,
			Audience:  jwt.Audience{Audience},
			Subject:   string(c.User.ID),
			IssuedAt:  jwt.NewNumericDate(c.Issued),
			NotBefore: jwt.NewNumericDate(c.Issued),
			Expiry:    jwt.NewNumericDate(c.Expires),
		},
		Session:    c.Session,
		Generation: c.Generation,
		Tenant:     c.Tenant,
		Name:       c.User.Name,
		Kind:       c.User.Kind,
		Staff:      c.User.Staff,
	}
}

func (p payload) claims() Claims {
	return Claims{
		Tenant:     p.Tenant,
		User:       chat.User{ID: chat.UserID(p.Subject), Name: p.Name, Kind: p.Kind, Staff: p.Staff},
		Session:    p.Session,
		Generation: p.Generation,
		Issued:     p.IssuedAt.Time().UTC(),
		Expires:    p.Expiry.Time().UTC(),
	}
}

// check refuses what a signature alone does not rule out. It looks at nothing that time changes.
func (p payload) check(issuer string) error {
	switch {
	case p.Issuer != issuer:
		return jwt.ErrInvalidIssuer
	case !p.Audience.Contains(Audience):
		return jwt.ErrInvalidAudience
	case p.Expiry == nil || p.IssuedAt == nil || p.NotBefore == nil:
		return errors.New("a time is missing")
	case p.Expiry.Time().Sub(p.IssuedAt.Time()) > MaxLifetime:
		return errors.New("the token lives too long")
	case p.Subject == "" || p.Session == "" || p.Tenant == "":
		return errors.New("a subject, session or tenant is missing")
	case p.Kind != chat.KindUser && p.Kind != chat.KindGuest:
		return errors.New("the kind of user is unknown")
	}
	return nil
}

// algorithms is the allow-list: one algorithm, so that a token has no say in how it is checked.
func algorithms() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{jose.EdDSA} }
