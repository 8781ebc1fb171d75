package token

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// PathKeys is where auth publishes its public keys, on its public and its internal listener.
const PathKeys = "/.well-known/jwks.json"

// PublicKey is a key that tokens may be signed with, under its id (the "kid").
type PublicKey struct {
	ID  string
	Key ed25519.PublicKey
}

// Keys finds public keys. The verifier asks on every use of a token, so it answers from memory.
type Keys interface {
	// Key returns the key of that id: chat.CodeUnauthenticated where there is none,
	// chat.CodeUnavailable where none could be known yet.
	Key(ctx context.Context, id string) (ed25519.PublicKey, error)
}

// EncodeKeys writes keys as a JSON Web Key Set.
func EncodeKeys(keys []PublicKey) ([]byte, error) {
	set := jose.JSONWebKeySet{Keys: make([]jose.JSONWebKey, 0, len(keys))}
	for _, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Key, KeyID: k.ID, Algorithm: string(jose.EdDSA), Use: "sig"})
	}
	b, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encoding keys: %w", err)
	}
	return b, nil
}

// DecodeKeys reads a JSON Web Key Set. It passes over every key that is not for Ed25519 signatures, as a set
// may come to hold others.
func DecodeKeys(data []byte) ([]PublicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("decoding keys: %w", err)
	}
	var keys []PublicKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) != nil || k.KeyID == "" || k.Algorithm != string(jose.EdDSA) || k.Use != "sig" {
			continue
		}
		if pub, ok := k.Key.(ed25519.PublicKey); ok && len(pub) == ed25519.PublicKeySize {
			keys = append(keys, PublicKey{ID: k.KeyID, Key: pub})
		}
	}
	return keys, nil
}
