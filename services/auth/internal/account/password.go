package account

import (
	_ "embed" // the list of common passwords
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/parley-chat/parley/pkg/chat"
)

// What a password may be. There are no rules of composition, and nothing is cut off.
const (
	minPassword      = 8 // characters
	maxPassword      = 256
	maxPasswordBytes = 1024
)

//go:embed common.txt
var commonText string

var commonPasswords = sync.OnceValue(func() map[string]bool { //nolint:gochecknoglobals // a constant, parsed at first use
	list := make(map[string]bool)
	for line := range strings.Lines(commonText) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			list[line] = true
		}
	}
	return list
})

// CheckPassword refuses a password that is too short or long, among the most common ones, or the
// name itself: chat.CodeBadRequest.
func CheckPassword(password string, name Forms) error {
	if err := checkSize(password); err != nil {
		return err
	}
	lower := strings.ToLower(password)
	switch {
	case !utf8.ValidString(password):
		return chat.Errorf(chat.CodeBadRequest, "the password is not valid UTF-8")
	case utf8.RuneCountInString(password) < minPassword:
		return chat.Errorf(chat.CodeBadRequest, "a password has at least %d characters", minPassword)
	case utf8.RuneCountInString(password) > maxPassword:
		return chat.Errorf(chat.CodeBadRequest, "a password has %d characters at most", maxPassword)
	case lower == name.Key, FormsOf(password).Folded == name.Folded:
		return chat.Errorf(chat.CodeBadRequest, "the password is the username")
	case commonPasswords()[lower]:
		return chat.Errorf(chat.CodeBadRequest, "this password is among the most common ones: choose another")
	}
	return nil
}

// checkSize bounds what is hashed at all.
func checkSize(password string) error {
	if len(password) > maxPasswordBytes {
		return chat.Errorf(chat.CodeBadRequest, "a password has %d characters at most", maxPassword)
	}
	return nil
}
