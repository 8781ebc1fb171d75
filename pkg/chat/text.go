package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Joiners shape letters and emoji: they show nothing by themselves, and names of people need them.
const (
	zeroWidthNonJoiner = 0x200c
	zeroWidthJoiner    = 0x200d
)

// Visible finds what can be seen of a text: no space, and nothing that Invisible finds.
func Visible(r rune) bool { return !unicode.IsSpace(r) && !Invisible(r) }

// Invisible finds the characters that show nothing by themselves: those that only steer how others
// look, the ones that Unicode tells programs to pass over, and two symbols that are drawn blank. The
// list is one for the names of users, guests and rooms and for messages.
func Invisible(r rune) bool {
	switch {
	case r < 0x80:
		return false
	case r == 0x2800, r == 0x1d159: // a Braille cell without dots, a musical note without a head
		return true
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r): // the only visible ones of Cf
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// foreignToNames finds what no name holds: control characters and separators of lines, which would
// spoil the line it stands in, and invisible ones, which would disguise it. Emoji and the scripts that
// need joiners keep theirs.
func foreignToNames(r rune) bool {
	switch {
	case r == zeroWidthNonJoiner, r == zeroWidthJoiner:
		return false
	case r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0020 && r <= 0xe007f: // styles of emoji, and their flags
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) || Invisible(r)
}

// CheckBody refuses what no message body may be: blank, too large, invalid UTF-8 or with a NUL.
func CheckBody(body string) error {
	switch {
	case len(body) > MaxBodyBytes:
		return Errorf(CodeTooLarge, "a message holds %d bytes at most, this one has %d", MaxBodyBytes, len(body))
	case !utf8.ValidString(body):
		return Errorf(CodeBadRequest, "the message is not valid UTF-8")
	case strings.ContainsRune(body, 0):
		return Errorf(CodeBadRequest, "a message holds no NUL")
	case !strings.ContainsFunc(body, Visible):
		return Errorf(CodeBadRequest, "the message is empty")
	}
	return nil
}

// CheckName refuses a display name that is blank, longer than limit runes or has characters that
// control the text around it or show nothing. What names the thing in the error, such as "room name".
func CheckName(what, name string, limit int) error {
	switch {
	case !utf8.ValidString(name) || strings.ContainsFunc(name, foreignToNames):
		return Errorf(CodeBadRequest, "a %s holds no control characters and no invisible ones", what)
	case !strings.ContainsFunc(name, Visible):
		return Errorf(CodeBadRequest, "a %s is needed", what)
	case utf8.RuneCountInString(name) > limit:
		return Errorf(CodeBadRequest, "a %s has %d characters at most", what, limit)
	}
	return nil
}

// foldRounds bounds how often a text is folded again: one more than any text is known to need.
const foldRounds = 4

// Fold returns text as it is compared and searched: without case, width and way of composing, by
// Unicode's NFKC and full case folding. The dotted and the dotless i of Turkish are one letter besides,
// since their capitals are: whoever writes İSTANBUL or istanbul, ısparta or ISPARTA, means the same.
func Fold(text string) string {
	for range foldRounds {
		folded := norm.NFKC.String(dots.Replace(cases.Fold().String(norm.NFKC.String(text))))
		if folded == text {
			break
		}
		text = folded
	}
	return text
}

var dots = strings.NewReplacer("i\u0307", "i", "ı", "i") //nolint:gochecknoglobals // a constant
