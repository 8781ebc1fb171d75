package account

import (
	"strings"
	"testing"

	"github.com/alexedwards/argon2id"

	"github.com/parley-chat/parley/pkg/chat"
)

// A name that is let in is shown clean, is found again by how it is shown and by how it is compared,
// and no password of that name is taken.
func FuzzUsername(f *testing.F) {
	f.Fuzz(func(t *testing.T, name, password string) {
		n, err := CheckUsername(name)
		if err != nil {
			if chat.CodeOf(err) != chat.CodeBadRequest || n != (Name{}) {
				t.Fatalf("%q: %+v %v", name, n, err)
			}
			_, _ = FormsOf(name), NameOf(name) // as a login asks for it, and as an old account may have it
			return
		}
		if again, err := CheckUsername(n.Shown); again != n || err != nil {
			t.Errorf("%q is %+v, whose shown form is %+v, %v", name, n, again, err)
		}
		if FormsOf(n.Shown) != n.Forms || NameOf(n.Shown) != n || FormsOf(n.Key) != n.Forms || FormsOf(n.Folded).Folded != n.Folded || chat.Fold(n.Folded) != n.Folded {
			t.Errorf("%q is %+v, found by %+v, %+v and %+v", name, n, FormsOf(n.Shown), FormsOf(n.Key), FormsOf(n.Folded))
		}
		key := n.Key
		if err := CheckPassword(password, n.Forms); err == nil {
			if len(password) > maxPasswordBytes || len(password) < minPassword || strings.EqualFold(password, key) {
				t.Errorf("%q was let in as the password of %q", password, name)
			}
		} else if chat.CodeOf(err) != chat.CodeBadRequest {
			t.Error(err)
		}
	})
}

// Whatever stands in the database in a hash's place, comparing with it costs no more than the dearest
// configuration, panics never, and nothing but a hash of the password matches.
func FuzzHash(f *testing.F) {
	h := hasher(f, HashConfig{MemoryKiB: 64, Iterations: 1, Concurrent: 1})
	f.Fuzz(func(t *testing.T, hash string) {
		if params, err := checkHash(hash); err == nil {
			if params.Memory > maxMemoryKiB || params.Iterations < 1 || params.Iterations > maxIterations || params.Parallelism < 1 || params.KeyLength < 16 {
				t.Fatalf("%q: %+v", hash, params)
			}
			if params.Memory > 1024 || params.Iterations > 10 {
				return // allowed, but not in a hurry
			}
		}
		ok, _, err := h.Matches(t.Context(), "sesame", hash)
		if ok && err != nil {
			t.Errorf("%q: %v", hash, err)
		}
		if _, _, key, _ := argon2id.DecodeHash(hash); ok && len(key) < 16 {
			t.Errorf("any password matches %q", hash)
		}
	})
}
