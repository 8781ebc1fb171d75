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
		err := CheckPassword(password, FormsOf("Ada Lovelace"))
		if (err == nil) != ok || err != nil && chat.CodeOf(err) != chat.CodeBadRequest {
			t.Errorf("%q: %v", password, err)
		}
	}
	if n := len(commonPasswords()); n != 3000 {
		t.Errorf("the list has %d passwords", n)
	}
}

func TestAPasswordIsNoNameInAnotherCase(t *testing.T) {
	if err := CheckPassword("STRASSENBAHN", FormsOf("straßenbahn")); chat.CodeOf(err) != chat.CodeBadRequest {
		t.Error(err)
	}
}
