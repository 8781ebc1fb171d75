package token

import (
	"bytes"
	"slices"
	"testing"
)

// Of what a remote serves as its keys nothing is taken but public keys for Ed25519 signatures, and
// what is taken can be served again.
func FuzzDecodeKeys(f *testing.F) {
	f.Fuzz(func(t *testing.T, set []byte) {
		keys, err := DecodeKeys(set)
		if err != nil {
			if keys != nil {
				t.Errorf("%q: keys beside %v", set, err)
			}
			return
		}
		for _, k := range keys {
			if k.ID == "" || len(k.Key) != 32 || bytes.Contains(set, []byte(`"HS256"`)) && !bytes.Contains(set, []byte("EdDSA")) {
				t.Errorf("%q: %+v", set, k)
			}
		}
		again, err := EncodeKeys(keys)
		if err != nil {
			t.Fatal(err)
		}
		second, err := DecodeKeys(again)
		if err != nil || !slices.EqualFunc(keys, second, func(a, b PublicKey) bool { return a.ID == b.ID && a.Key.Equal(b.Key) }) {
			t.Errorf("%q -> %q: %v", set, again, err)
		}
	})
}
