package account

import (
	"strings"

	"golang.org/x/text/secure/precis"

	"github.com/parley-chat/parley/pkg/chat"
)

// CheckUsername returns name as it is shown, without space around it, and as it is compared.
// chat.CodeBadRequest for what no name may be.
func CheckUsername(name string) (shown, key string, err error) {
	shown = strings.TrimSpace(name)
	if err = chat.CheckName("username", shown, chat.MaxUserName); err != nil {
		return "", "", err
	}
	key, err = precis.Nickname.CompareKey(shown)
	if err != nil || key == "" {
		return "", "", chat.Errorf(chat.CodeBadRequest, "the username has characters that no name may have")
	}
	return shown, key, nil
}

// Key returns name as it is compared (RFC 8266: without case, width and superfluous space), so that
// "Ada" and "ＡＤＡ" are one. A name that no account can have is compared as it is, and found nowhere.
func Key(name string) string {
	if len(name) > 4*chat.MaxUserName {
		name = name[:4*chat.MaxUserName]
	}
	key, err := precis.Nickname.CompareKey(name)
	if err != nil {
		return strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", ""), "")
	}
	return key
}
