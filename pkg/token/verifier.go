package token

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/parley-chat/parley/pkg/chat"
)

// cached bounds the memory of checked signatures: about 400 bytes each.
const cached = 8192

// Verifier checks tokens. It is safe for concurrent use.
type Verifier struct {
	issuer      string
	keys        Keys
	revocations *Revocations
	now         func() time.Time
	cache       *lru.Cache[[sha256.Size]byte, checked]
}

// checked is a token whose signature and constant claims have been found good under key.
type checked struct {
	claims    Claims
	notBefore time.Time
	keyID     string
	key       ed25519.PublicKey
}

// NewVerifier makes a verifier of tokens of that issuer. Revocations may be nil for a caller that
// looks sessions up itself.
func NewVerifier(issuer string, keys Keys, revocations *Revocations, now func() time.Time) (*Verifier, error) {
	if issuer == "" {
		return nil, errors.New("a token verifier needs an issuer")
	}
	cache, err := lru.New[[sha256.Size]byte, checked](cached)
	if err != nil {
		return nil, fmt.Errorf("making a token verifier: %w", err)
	}
	return &Verifier{issuer: issuer, keys: keys, revocations: revocations, now: now, cache: cache}, nil
}

// Verify returns what raw says, if it is a token of ours that holds now. Otherwise the error is
// chat.CodeUnauthenticated, or chat.CodeUnavailable where that can't be told for want of keys.
//
// Since each message carries its author's token, the signature of a token is checked once and
// remembered by its hash; key, time and revocations are checked each time.
func (v *Verifier) Verify(ctx context.Context, raw string) (Claims, error) {
	if raw == "" || len(raw) > maxBytes {
		return Claims{}, refuse("the token is malformed")
	}
	hash := sha256.Sum256([]byte(raw))
	known, ok := v.cache.Get(hash)
	if ok {
		// A key withdrawn since takes its tokens with it.
		key, err := v.keys.Key(ctx, known.keyID)
		if err != nil {
			return Claims{}, err
		}
		ok = key.Equal(known.key)
	}
	if !ok {
		var err error
		if known, err = v.check(ctx, raw); err != nil {
			return Claims{}, err
		}
		v.forgetExpired()
		v.cache.Add(hash, known)
	}
	now := v.now()
	switch {
	case !now.Before(known.claims.Expires):
		return Claims{}, refuse("the token has expired")
	case now.Add(Skew).Before(known.notBefore), now.Add(Skew).Before(known.claims.Issued):
		return Claims{}, refuse("the token is not valid yet")
	case v.revocations != nil && v.revocations.Revoked(known.claims):
		return Claims{}, refuse("the session has ended")
	}
	return known.claims, nil
}

// forgetExpired drops tokens that have ended, from the one on that was not used for the longest time: so a
// token is kept for little longer than it lives, and each is dropped once.
func (v *Verifier) forgetExpired() {
	for now := v.now(); ; {
		hash, oldest, ok := v.cache.GetOldest()
		if !ok || now.Before(oldest.claims.Expires) {
			return
		}
		v.cache.Remove(hash)
	}
}

// check does what is true of a token for good. The key comes from our own set by its id and from
// nowhere else: a token that brings or points to a key ("jwk", "jku", "x5u", "x5c") gains nothing by it.
func (v *Verifier) check(ctx context.Context, raw string) (checked, error) {
	parsed, err := jwt.ParseSigned(raw, algorithms())
	if err != nil || len(parsed.Headers) != 1 {
		return checked{}, refuse("the token is malformed")
	}
	header := parsed.Headers[0]
	if header.ExtraHeaders[jose.HeaderType] != Type || header.KeyID == "" {
		return checked{}, refuse("the token is of another type")
	}
	key, err := v.keys.Key(ctx, header.KeyID)
	if err != nil {
		return checked{}, err
	}
	var p payload
	if parsed.Claims(key, &p) != nil {
		return checked{}, refuse("the token's signature is wrong")
	}
	if p.check(v.issuer) != nil {
		return checked{}, refuse("the token is not for this service")
	}
	return checked{claims: p.claims(), notBefore: p.NotBefore.Time(), keyID: header.KeyID, key: key}, nil
}

func refuse(why string) error { return chat.Errorf(chat.CodeUnauthenticated, "%s", why) }
