package token

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
)

const issuer = "parley"

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// keyring is a source of keys from memory.
type keyring map[string]ed25519.PublicKey

func (k keyring) Key(_ context.Context, id string) (ed25519.PublicKey, error) {
	if key, ok := k[id]; ok {
		return key, nil
	}
	return nil, refuse("unknown key")
}

// fixedKey is the same key every time, for golden tokens.
func fixedKey(b byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = b
	return ed25519.NewKeyFromSeed(seed)
}

func public(k ed25519.PrivateKey) ed25519.PublicKey {
	return ed25519.PublicKey(k[ed25519.SeedSize:])
}

func someClaims() Claims {
	return Claims{
		Tenant:     chat.DefaultTenant,
		User:       chat.User{ID: "u1", Name: "Ada", Kind: chat.KindUser, Staff: true},
		Session:    "s1",
		Generation: 3,
		Issued:     start,
		Expires:    start.Add(10 * time.Minute),
	}
}

type world struct {
	now      time.Time
	keys     keyring
	revoked  *Revocations
	verifier *Verifier
	signer   *Signer
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{now: start, keys: keyring{"k1": public(fixedKey(1))}}
	clock := func() time.Time { return w.now }
	w.revoked = NewRevocations(clock)
	var err error
	if w.verifier, err = NewVerifier(issuer, w.keys, w.revoked, clock); err != nil {
		tb.Fatal(err)
	}
	if w.signer, err = NewSigner(issuer, "k1", fixedKey(1)); err != nil {
		tb.Fatal(err)
	}
	return w
}

func (w *world) sign(tb testing.TB, c Claims) string {
	tb.Helper()
	raw, err := w.signer.Sign(c)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func (w *world) wantRefused(t *testing.T, what, raw string) {
	t.Helper()
	if c, err := w.verifier.Verify(t.Context(), raw); chat.CodeOf(err) != chat.CodeUnauthenticated {
		t.Errorf("%s: got %+v, %v; want it unauthenticated", what, c, err)
	}
}

func TestWhatIsSignedIsVerified(t *testing.T) {
	w := newWorld(t)
	raw := w.sign(t, someClaims())
	for range 2 { // from the signature, then from memory
		if got, err := w.verifier.Verify(t.Context(), raw); err != nil || got != someClaims() {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
}

// A token of an older release must go on being understood while both run.
// Whoever comes and goes must not be remembered for longer than a token lives.
func TestExpiredTokensAreForgotten(t *testing.T) {
	w := newWorld(t)
	for i := range 300 {
		c := someClaims()
		c.Session, c.Issued = chat.SessionID(fmt.Sprint("s", i)), w.now
		c.Expires = c.Issued.Add(2 * time.Minute)
		raw := w.sign(t, c)
		for range 2 {
			if _, err := w.verifier.Verify(t.Context(), raw); err != nil {
				t.Fatal(err)
			}
		}
		w.now = w.now.Add(time.Second)
	}
	if kept := w.verifier.cache.Len(); kept > 121 {
		t.Errorf("%d tokens are remembered, of which 120 are good", kept)
	}
}

func TestGoldenToken(t *testing.T) {
	const golden = "eyJhbGciOiJFZERTQSIsImtpZCI6ImsxIiwidHlwIjoiYXQrand0In0.eyJhdWQiOiJwYXJsZXkiLCJleHAiOjE3OTUxNzY2MDAsImdlbiI6MywiaWF0IjoxNzk1MTc2MDAwLCJpc3MiOiJwYXJsZXkiLCJraW5kIjoidXNlciIsIm5hbWUiOiJBZGEiLCJuYmYiOjE3OTUxNzYwMDAsInNpZCI6InMxIiwic3RhZmYiOnRydWUsInN1YiI6InUxIiwidGVuYW50IjoiZGVmYXVsdCJ9"
	w := newWorld(t)
	raw := w.sign(t, someClaims())
	if !strings.HasPrefix(raw, golden+".") {
		t.Errorf("the token's form changed:\n%s", raw)
	}
	if got, err := w.verifier.Verify(t.Context(), raw); err != nil || got != someClaims() {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestTimeAndRevocationsAreCheckedOnEveryUse(t *testing.T) {
	w := newWorld(t)
	raw := w.sign(t, someClaims())
	use := func() error { _, err := w.verifier.Verify(t.Context(), raw); return err }
	w.now = start.Add(-Skew - time.Second)
	w.wantRefused(t, "not yet valid", raw)
	w.now = start.Add(-Skew)
	if err := use(); err != nil {
		t.Error("within the skew", err)
	}
	w.now = start.Add(10*time.Minute - time.Second)
	if err := use(); err != nil {
		t.Error("a second before its end", err)
	}
	w.now = start.Add(10 * time.Minute)
	w.wantRefused(t, "at its end", raw)

	w.now = start
	w.revoked.Apply(lobby.Event{Kind: lobby.GenerationRaised, User: "u1", Generation: 3})
	if err := use(); err != nil {
		t.Error("of the current generation", err)
	}
	w.revoked.Apply(lobby.Event{Kind: lobby.GenerationRaised, User: "u1", Generation: 4})
	w.wantRefused(t, "of an earlier generation", raw)

	w = newWorld(t)
	if err := use(); err != nil {
		t.Fatal(err)
	}
	w.revoked.Apply(lobby.Event{Kind: lobby.SessionEnded, User: "u1", Session: "s1"})
	w.wantRefused(t, "of an ended session", raw)

	w = newWorld(t)
	if err := use(); err != nil {
		t.Fatal(err)
	}
	delete(w.keys, "k1")
	w.wantRefused(t, "of a withdrawn key", raw)
	w.keys["k1"] = public(fixedKey(2))
	w.wantRefused(t, "of a replaced key", raw)
}

// mint signs any payload with any key and header, as an attacker or a misled issuer might.
func mint(t *testing.T, alg jose.SignatureAlgorithm, key any, header map[jose.HeaderKey]any, p any) string {
	t.Helper()
	opts := &jose.SignerOptions{ExtraHeaders: header}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func good() map[jose.HeaderKey]any { return map[jose.HeaderKey]any{"typ": Type, "kid": "k1"} }

func with(key jose.HeaderKey, value any) map[jose.HeaderKey]any {
	h := good()
	h[key] = value
	return h
}

func TestAttackCorpus(t *testing.T) {
	w := newWorld(t)
	ours, theirs := fixedKey(1), fixedKey(9)
	fine := payloadOf(someClaims(), issuer)
	if _, err := w.verifier.Verify(t.Context(), mint(t, jose.EdDSA, ours, good(), fine)); err != nil {
		t.Fatal("the corpus starts from a token that is refused:", err)
	}
	der, err := x509.MarshalPKIXPublicKey(public(ours))
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	body, err := json.Marshal(fine)
	if err != nil {
		t.Fatal(err)
	}
	signed := w.sign(t, someClaims())
	parts := strings.Split(signed, ".")
	changed := func(f func(*payload)) string {
		p := fine
		f(&p)
		return mint(t, jose.EdDSA, ours, good(), p)
	}
	unsigned := func(header string) string { return b64([]byte(header)) + "." + b64(body) + "." }
	for what, raw := range map[string]string{
		"alg none":              unsigned(`{"alg":"none","typ":"at+jwt","kid":"k1"}`),
		"alg None":              unsigned(`{"alg":"None","typ":"at+jwt","kid":"k1"}`),
		"alg none, our sig":     unsigned(`{"alg":"none","typ":"at+jwt","kid":"k1"}`) + parts[2],
		"no alg":                unsigned(`{"typ":"at+jwt","kid":"k1"}`) + parts[2],
		"EdDSA without sig":     parts[0] + "." + parts[1] + ".",
		"HS256, raw public key": mint(t, jose.HS256, []byte(public(ours)), good(), fine),
		"HS256, DER public key": mint(t, jose.HS256, der, good(), fine),
		"their key, our kid":    mint(t, jose.EdDSA, theirs, good(), fine),
		"unknown kid":           mint(t, jose.EdDSA, ours, with("kid", "k2"), fine),
		"kid as a path":         mint(t, jose.EdDSA, ours, with("kid", "../k1"), fine),
		"no kid":                mint(t, jose.EdDSA, ours, map[jose.HeaderKey]any{"typ": Type}, fine),
		"jwk of theirs":         mint(t, jose.EdDSA, theirs, with("jwk", jose.JSONWebKey{Key: public(theirs), KeyID: "k1"}), fine),
		"jku of theirs":         mint(t, jose.EdDSA, theirs, with("jku", "https://evil.example/jwks.json"), fine),
		"x5u of theirs":         mint(t, jose.EdDSA, theirs, with("x5u", "https://evil.example/cert.pem"), fine),
		"crit unknown":          mint(t, jose.EdDSA, ours, with("crit", []string{"spare"}), fine),
		"typ JWT":               mint(t, jose.EdDSA, ours, with("typ", "JWT"), fine),
		"no typ":                mint(t, jose.EdDSA, ours, map[jose.HeaderKey]any{"kid": "k1"}, fine),
		"typ a number":          mint(t, jose.EdDSA, ours, with("typ", 1), fine),
		"wrong issuer":          changed(func(p *payload) { p.Issuer = "parley2" }),
		"no issuer":             changed(func(p *payload) { p.Issuer = "" }),
		"wrong audience":        changed(func(p *payload) { p.Audience = jwt.Audience{"mail"} }),
		"no audience":           changed(func(p *payload) { p.Audience = nil }),
		"expired": changed(func(p *payload) {
			p.IssuedAt = jwt.NewNumericDate(start.Add(-time.Hour))
			p.Expiry = jwt.NewNumericDate(start)
		}),
		"no expiry":               changed(func(p *payload) { p.Expiry = nil }),
		"no issue time":           changed(func(p *payload) { p.IssuedAt = nil }),
		"no nbf":                  changed(func(p *payload) { p.NotBefore = nil }),
		"nbf ahead":               changed(func(p *payload) { p.NotBefore = jwt.NewNumericDate(start.Add(time.Minute)) }),
		"issued ahead":            changed(func(p *payload) { p.IssuedAt = jwt.NewNumericDate(start.Add(time.Minute)) }),
		"lives too long":          changed(func(p *payload) { p.Expiry = jwt.NewNumericDate(start.Add(MaxLifetime + time.Second)) }),
		"no subject":              changed(func(p *payload) { p.Subject = "" }),
		"no session":              changed(func(p *payload) { p.Session = "" }),
		"no tenant":               changed(func(p *payload) { p.Tenant = "" }),
		"unknown kind":            changed(func(p *payload) { p.Kind = "root" }),
		"claims not an object":    mint(t, jose.EdDSA, ours, good(), []int{1}),
		"claims of wrong types":   mint(t, jose.EdDSA, ours, good(), map[string]any{"gen": "many"}),
		"empty":                   "",
		"dots":                    "..",
		"garbage":                 "not a token",
		"JSON serialization":      `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"payload exchanged":       parts[0] + "." + b64([]byte(strings.Replace(string(body), "u1", "u2", 1))) + "." + parts[2],
		"signature cut":           signed[:len(signed)-4],
		"something after it":      signed + ".x",
		"a space after it":        signed + " ",
		"huge":                    signed + strings.Repeat("A", 1<<20),
		"huge and otherwise fine": changed(func(p *payload) { p.Name = strings.Repeat("a", maxBytes) }),
		"a NUL":                   "\x00" + signed,
		"invalid UTF-8":           "\xff\xfe." + parts[1] + "." + parts[2],
	} {
		w.wantRefused(t, what, raw)
	}
}

// A token that points to a key but is signed by ours is an ordinary token: the pointer is not looked at.
func TestKeysBroughtAlongAreIgnored(t *testing.T) {
	w := newWorld(t)
	for _, h := range []map[jose.HeaderKey]any{
		with("jku", "http://127.0.0.1:1/jwks.json"),
		with("jwk", jose.JSONWebKey{Key: public(fixedKey(9)), KeyID: "k1"}),
	} {
		raw := mint(t, jose.EdDSA, fixedKey(1), h, payloadOf(someClaims(), issuer))
		if _, err := w.verifier.Verify(t.Context(), raw); err != nil {
			t.Error(h, err)
		}
	}
}

func TestSignRefusesWhatNobodyWouldTake(t *testing.T) {
	w := newWorld(t)
	for what, change := range map[string]func(*Claims){
		"too long a life": func(c *Claims) { c.Expires = start.Add(MaxLifetime + time.Second) },
		"no session":      func(c *Claims) { c.Session = "" },
		"no tenant":       func(c *Claims) { c.Tenant = "" },
		"no kind":         func(c *Claims) { c.User.Kind = "" },
	} {
		c := someClaims()
		change(&c)
		if raw, err := w.signer.Sign(c); err == nil {
			t.Errorf("%s: signed as %s", what, raw)
		}
	}
}

func TestNoKeysYetIsUnavailable(t *testing.T) {
	w := newWorld(t)
	set, err := NewKeySet([]string{"http://127.0.0.1:1"}, nil, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewVerifier(issuer, set, nil, func() time.Time { return start })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), w.sign(t, someClaims())); chat.CodeOf(err) != chat.CodeUnavailable {
		t.Fatal(err)
	}
}

func FuzzVerify(f *testing.F) {
	w := newWorld(f)
	signed := w.sign(f, someClaims())
	parts := strings.Split(signed, ".")
	for _, s := range []string{
		"", ".", "..", "...", signed, parts[0] + "..", parts[0] + "." + parts[1] + ".", `{"payload":""}`,
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", "\xff", "é.é.é",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := w.verifier.Verify(t.Context(), raw)
		if err == nil && got != someClaims() {
			t.Fatalf("%q passed as %+v", raw, got)
		}
		if err != nil && chat.CodeOf(err) != chat.CodeUnauthenticated {
			t.Fatalf("%q: %v", raw, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	raw := w.sign(b, someClaims())
	b.Run("known", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.verifier.Verify(b.Context(), raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			w.verifier.cache.Purge()
			if _, err := w.verifier.Verify(b.Context(), raw); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestKeysSurviveEncoding(t *testing.T) {
	_, fresh, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	want := []PublicKey{{"a", public(fixedKey(1))}, {"b", public(fresh)}}
	data, err := EncodeKeys(want)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), `"d"`) {
		t.Fatal("a private key was published")
	}
	got, err := DecodeKeys(data)
	if err != nil || len(got) != 2 || got[0].ID != "a" || !got[1].Key.Equal(want[1].Key) {
		t.Fatal(got, err)
	}
}

func TestDecodeKeysPassesOverOthers(t *testing.T) {
	ours, err := EncodeKeys([]PublicKey{{"a", public(fixedKey(1))}})
	if err != nil {
		t.Fatal(err)
	}
	inner := strings.TrimSuffix(strings.TrimPrefix(string(ours), `{"keys":[`), `]}`)
	data := `{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"h","alg":"HS256"},{"kty":"new"},7,` + inner + `,` +
		strings.Replace(inner, `"sig"`, `"enc"`, 1) + `,` + strings.Replace(inner, `"kid":"a"`, `"kid":""`, 1) + `]}`
	got, err := DecodeKeys([]byte(data))
	if err != nil || len(got) != 1 || got[0].ID != "a" {
		t.Fatal(got, err)
	}
	if _, err := DecodeKeys([]byte("<html>")); err == nil {
		t.Fatal("HTML was taken for keys")
	}
}
