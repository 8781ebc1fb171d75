package chat

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// What is let in as a slug, name, body or nonce is what the contract says, and comes back from JSON
// as it was.
func FuzzText(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		if Slug(text).Valid() != isSlug(text) {
			t.Errorf("slug %q: %v", text, Slug(text).Valid())
		}
		if Slug(text).Valid() && url.PathEscape(text) != text {
			t.Errorf("slug %q is another one in a path", text)
		}
		for what, c := range map[string]struct {
			err error
			ok  bool
		}{
			"name":  {CheckName("name", text, MaxUserName), utf8.RuneCountInString(text) <= MaxUserName && !strings.ContainsFunc(text, unicode.IsControl)},
			"body":  {CheckBody(text), len(text) <= MaxBodyBytes},
			"nonce": {CheckNonce(text), len(text) >= 1 && len(text) <= MaxNonceBytes},
		} {
			code := CodeOf(c.err)
			if code == "" && (!c.ok || !utf8.ValidString(text) || strings.Contains(text, "\x00") || !comesBack(text)) {
				t.Errorf("%q was let in as a %s", text, what)
			}
			if code != "" && code != CodeBadRequest && (code != CodeTooLarge || what != "body") {
				t.Errorf("%q as a %s: %v", text, what, c.err)
			}
			if fold := Fold(text); utf8.ValidString(text) && (Fold(fold) != fold || !utf8.ValidString(fold)) {
				t.Errorf("%q is folded to %q, and again to %q", text, fold, Fold(fold))
			}
			if what != "nonce" && code == "" && strings.TrimSpace(text) == "" {
				t.Errorf("a blank %s: %q", what, text)
			}
		}
	})
}

// isSlug is the contract's sentence, by hand.
func isSlug(s string) bool {
	for i, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c != '-' || i == 0) {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 63
}

func comesBack(text string) bool {
	content, err := json.Marshal(text)
	var again string
	return err == nil && json.Unmarshal(content, &again) == nil && again == text
}
