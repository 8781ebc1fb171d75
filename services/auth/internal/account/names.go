package account

import (
	"strings"
	"unicode"

	"golang.org/x/text/secure/precis"

	"github.com/parley-chat/parley/pkg/chat"
)

// Forms are a name as it is compared. Two names with one of them in common are the same.
type Forms struct {
	Key    string // RFC 8266: without case, width and superfluous space, as every release knows it
	Folded string // Key with case fully folded, as chat.Fold says, so that ς is σ, ß is ss and İ is i
}

// Name is a name that an account or a guest may have.
type Name struct {
	Forms

	Shown    string // without space around it
	Skeleton string // the same for all names that look alike
}

// NameRule numbers the rule by which Folded and Skeleton are made. Accounts of another rule are
// brought up to date (FillNames).
const NameRule = 1

// CheckUsername takes a name apart: chat.CodeBadRequest for what no name may be.
func CheckUsername(name string) (Name, error) {
	shown := strings.TrimSpace(name)
	if err := chat.CheckName("username", shown, chat.MaxUserName); err != nil {
		return Name{}, err
	}
	key, err := precis.Nickname.CompareKey(shown)
	if err != nil || key == "" {
		return Name{}, chat.Errorf(chat.CodeBadRequest, "the username has characters that no name may have")
	}
	n := Name{Forms: Forms{key, chat.Fold(key)}, Shown: shown, Skeleton: skeleton(shown)}
	if err := checkScripts(n.Folded); err != nil {
		return Name{}, err
	}
	if err := checkBrackets(n.Folded); err != nil {
		return Name{}, err
	}
	return n, nil
}

// NameOf takes the name of an account apart that is there already, whatever the rules are by now.
func NameOf(username string) Name {
	return Name{Forms: FormsOf(username), Shown: username, Skeleton: skeleton(username)}
}

// FormsOf returns name as it is compared. A name that no account can have is found nowhere.
func FormsOf(name string) Forms {
	key := keyOf(name)
	return Forms{key, chat.Fold(key)}
}

func keyOf(name string) string {
	if len(name) > 4*chat.MaxUserName {
		name = name[:4*chat.MaxUserName]
	}
	key, err := precis.Nickname.CompareKey(name)
	if err != nil {
		return "\n" + strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", ""), "") // no name begins like that
	}
	return key
}

// lookalikes returns the skeletons of the accounts that a guest of that name could be taken for: also
// without what stands in brackets and around the name, so that "~ada~" and "ada (sales)" are no Ada.
func (n Name) lookalikes() []string {
	plain, _ := splitBrackets(n.Folded)
	plain = strings.TrimFunc(plain, func(r rune) bool { return !unicode.In(r, unicode.L, unicode.M, unicode.N) })
	if bare := skeleton(plain); bare != "" && bare != n.Skeleton {
		return []string{n.Skeleton, bare}
	}
	return []string{n.Skeleton}
}
