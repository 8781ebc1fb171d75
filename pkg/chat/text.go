package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Joiners are invisible, but they shape letters and emoji, so people's names need them.
const (
	zeroWidthNonJoiner = 0x200c
	zeroWidthJoiner    = 0x200d
)

// Visible reports whether r can be seen: it is neither a space nor Invisible.
func Visible(r rune) bool { return !unicode.IsSpace(r) && !Invisible(r) }

// Invisible reports whether r shows nothing by itself: a format character, a character that Unicode
// declares ignorable, or one of two symbols that are drawn blank. Names and messages use the same list.
func Invisible(r rune) bool {
	switch {
	case r < 0x80:
		return false
	case r == 0x2800, r == 0x1d159: // a Braille cell without dots, a musical note without a head
		return true
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r): // the only visible characters in Cf
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// forbiddenInNames reports whether a name must not contain r. Control characters and line separators would
// break the line that shows the name, and invisible characters would disguise it. Joiners and emoji
// modifiers are allowed, because some scripts and emoji need them.
func forbiddenInNames(r rune) bool {
	switch {
	case r == zeroWidthNonJoiner, r == zeroWidthJoiner:
		return false
	case r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0020 && r <= 0xe007f: // emoji variation selectors and flag tags
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) || Invisible(r)
}

// CheckBody returns an error for a message body that is blank, too large, not UTF-8 or contains NUL.
func CheckBody(body string) error {
	switch {
	case len(body) > MaxBodyBytes:
		return Errorf(CodeTooLarge, "the message is too long: %d bytes are allowed, it has %d", MaxBodyBytes, len(body))
	case !utf8.ValidString(body):
		return Errorf(CodeBadRequest, "the message is not valid UTF-8")
	case strings.ContainsRune(body, 0):
		return Errorf(CodeBadRequest, "the message must not contain NUL characters")
	case !strings.ContainsFunc(body, Visible):
		return Errorf(CodeBadRequest, "the message is empty")
	}
	return nil
}

// CheckName returns an error for a display name that is blank, longer than limit runes, or contains control
// or invisible characters. The error calls the name by what, such as "room name".
func CheckName(what, name string, limit int) error {
	switch {
	case !utf8.ValidString(name) || strings.ContainsFunc(name, forbiddenInNames):
		return Errorf(CodeBadRequest, "the %s must not contain control characters or invisible characters", what)
	case !strings.ContainsFunc(name, Visible):
		return Errorf(CodeBadRequest, "the %s must not be empty", what)
	case utf8.RuneCountInString(name) > limit:
		return Errorf(CodeBadRequest, "the %s is too long: %d characters are allowed", what, limit)
	}
	return nil
}

// foldRounds bounds how often Fold repeats: one round more than any known text needs.
const foldRounds = 4

// Fold returns the form of text that is compared and searched. It removes differences of case, width and
// composition, by Unicode's NFKC and full case folding. It also treats the dotted and the dotless i of
// Turkish as one letter, so that İSTANBUL matches istanbul, and ISPARTA matches ısparta.
func Fold(text string) string {
	for range foldRounds {
		folded := norm.NFKC.String(unifyI.Replace(cases.Fold().String(norm.NFKC.String(text))))
		if folded == text {
			break
		}
		text = folded
	}
	return text
}

var unifyI = strings.NewReplacer("i\u0307", "i", "ı", "i") //nolint:gochecknoglobals // a constant
