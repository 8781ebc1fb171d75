package account

import (
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
)

func TestWhatAPasswordMayBe(t *testing.T) {
	for password, ok := range map[string]bool{
		"":                             false,
		"1234567":                      false,
		"zqxjkvbw":                     true, // no rules of composition
		"ΩΩΩΩΩΩΩ":                      false,
		"ΩΩΩΩΩΩΩΩ":                     true, // counted in characters
		strings.Repeat("x", 256):       true,
		strings.Repeat("x", 257):       false,
		strings.Repeat("𝄞", 256):       true, // 1024 bytes
		strings.Repeat("e\u0301", 256): false,
		"with spaces in between":       true,
		"  leading and trailing  ":     true,
		"\xff\xfe\xfd\xfc\xfb\xfa\xf9": false,
		"password":                     false, // the most common ones
		"PassWord":                     false,
		"iloveyou":                     false,
		"trustno1":                     false,
		"samantha1":                    false, // near the end of the list
		"correct horse battery staple": true,
		"ada lovelace":                 false, // the username
		"ADA  Lovelace ":               false,
		"ada lovelace!":                true,
	} {
		err := CheckPassword(password, Key("Ada Lovelace"))
		if (err == nil) != ok || err != nil && chat.CodeOf(err) != chat.CodeBadRequest {
			t.Errorf("%q: %v", password, err)
		}
	}
	if n := len(commonPasswords()); n != 3000 {
		t.Errorf("the list has %d passwords", n)
	}
}

func TestWhatANameMayBe(t *testing.T) {
	for name, want := range map[string]string{ // as compared; "" is refused
		"Ada":                   "ada",
		"  Ada ":                "ada",
		"Ada  Lovelace":         "ada lovelace",
		"ＡＤＡ":                   "ada", // full width
		"Émile":                 "émile",
		"E\u0301mile":           "émile",
		"ſtephen":               "stephen",
		"李小龙":                   "李小龙",
		"مريم":                  "مريم",
		"a.b-c_d'e":             "a.b-c_d'e",
		"smile 😀":               "smile 😀",
		"":                      "",
		"   ":                   "",
		strings.Repeat("é", 40): strings.Repeat("é", 40),
		strings.Repeat("é", 41): "",
		"a\x00b":                "",
		"a\nb":                  "",
		"a\u202eb":              "", // turns the line around
		"a\u200bb":              "", // zero width
		"\xff":                  "",
	} {
		shown, key, err := CheckUsername(name)
		if key != want || (err == nil) != (want != "") || err != nil && chat.CodeOf(err) != chat.CodeBadRequest {
			t.Errorf("%q: %q %q %v", name, shown, key, err)
		}
		if want != "" && Key(name) != want {
			t.Errorf("%q is compared as %q, made as %q", name, Key(name), want)
		}
	}
	// Whatever a stranger tries to sign in with is text that a database takes.
	for _, name := range []string{"a\x00b", "\xff\xfe", strings.Repeat("x", 1<<20), "\ud7ff"} {
		if key := Key(name); strings.ContainsRune(key, 0) || len(key) > 200 || strings.ToValidUTF8(key, "") != key {
			t.Errorf("%q", key)
		}
	}
}
