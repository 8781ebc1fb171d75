package token

import (
	"crypto/ed25519"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Signer makes tokens with one key. It is safe for concurrent use.
type Signer struct {
	signer jose.Signer
	issuer string
}

// NewSigner makes a signer of tokens of that issuer, which name the key by id.
func NewSigner(issuer, id string, key ed25519.PrivateKey) (*Signer, error) {
	opts := (&jose.SignerOptions{}).WithType(Type)
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key, KeyID: id}}, opts)
	if err != nil {
		return nil, fmt.Errorf("making a token signer: %w", err)
	}
	return &Signer{signer: s, issuer: issuer}, nil
}

// Sign makes the token of c. What no verifier would take (see MaxLifetime) is an error here already.
func (s *Signer) Sign(c Claims) (string, error) {
	p := payloadOf(c, s.issuer)
	if err := p.check(s.issuer); err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	raw, err := jwt.Signed(s.signer).Claims(p).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return raw, nil
}
