package account

import (
	"slices"
	"strings"
	"unicode"

	"github.com/parley-chat/parley/pkg/chat"
)

// together are the scripts that one name may mix, as UTS 39 has it for its level "highly restrictive".
// All others stand alone: a Cyrillic а among Latin letters is there to be taken for a Latin one.
var together = [][]string{ //nolint:gochecknoglobals // a constant
	{"Latin", "Han", "Hiragana", "Katakana"},
	{"Latin", "Han", "Hangul"},
	{"Latin", "Han", "Bopomofo"},
}

// checkScripts refuses a name of scripts that don't go together.
func checkScripts(name string) error {
	var scripts []string
	for _, r := range name {
		if s := scriptOf(r); s != "" && !slices.Contains(scripts, s) {
			scripts = append(scripts, s)
		}
	}
	if len(scripts) < 2 {
		return nil
	}
	for _, set := range together {
		if !slices.ContainsFunc(scripts, func(s string) bool { return !slices.Contains(set, s) }) {
			return nil
		}
	}
	slices.Sort(scripts)
	return chat.Errorf(chat.CodeBadRequest, "a username does not mix the scripts %s: write it in one of them", strings.Join(scripts, " and "))
}

// scriptOf returns the script of r, "" for what all scripts use.
func scriptOf(r rune) string {
	if r < 0x80 {
		if unicode.IsLetter(r) {
			return "Latin"
		}
		return ""
	}
	for name, table := range unicode.Scripts {
		if name != "Common" && name != "Inherited" && unicode.Is(table, r) {
			return name
		}
	}
	return ""
}

// roles are what a name must not claim in brackets, where people expect the service to say it.
var roles = []string{ //nolint:gochecknoglobals // a constant
	"admin", "administrator", "guest", "mod", "moderator", "official", "operator", "owner", "root", "staff", "system", "verified",
}

// checkBrackets refuses a name that says in brackets what its bearer may do.
func checkBrackets(folded string) error {
	_, inside := splitBrackets(folded)
	for word := range strings.FieldsFuncSeq(inside, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if slices.Contains(roles, word) {
			return chat.Errorf(chat.CodeBadRequest, "a username does not say what somebody may do: leave out “%s”", word)
		}
	}
	return nil
}

// splitBrackets parts a text into what stands outside of brackets of any kind and inside.
func splitBrackets(text string) (outside, inside string) {
	var out, in strings.Builder
	depth := 0
	for _, r := range text {
		switch {
		case r == '<' || unicode.In(r, unicode.Ps, unicode.Pi):
			depth++
			in.WriteByte(' ')
		case r == '>' || unicode.In(r, unicode.Pe, unicode.Pf):
			depth = max(0, depth-1)
			in.WriteByte(' ')
		case depth > 0:
			in.WriteRune(r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String(), in.String()
}

// skeleton returns the same text for names that look alike: folded, without what shows nothing, and
// with each letter that is drawn like a Latin one or a digit replaced by that.
func skeleton(name string) string {
	return strings.Map(func(r rune) rune {
		if chat.Invisible(r) {
			return -1
		}
		if like, ok := drawnLike[r]; ok {
			return like
		}
		return r
	}, chat.Fold(keyOf(name)))
}

// drawnLike is made of the table below, and of what is alike among the ASCII characters: I, l, 1 and |
// (in one case or the other) and O and 0.
var drawnLike = func() map[rune]rune { //nolint:gochecknoglobals // a constant
	like := map[rune]rune{'i': 'l', '1': 'l', '|': 'l', '0': 'o'}
	for target, letters := range confusable {
		if first, ok := like[target]; ok {
			target = first
		}
		for _, letter := range letters {
			like[letter] = target
		}
	}
	return like
}()

// confusable lists the folded letters of living scripts that are drawn like one Latin letter or digit,
// small or capital: from confusables.txt of Unicode 13 (© 2020 Unicode, Inc.,
// https://www.unicode.org/terms_of_use.html).
var confusable = map[rune]string{ //nolint:gochecknoglobals // a constant
	'2': "ƨꙅ", '3': "ȝɜʒзӡꝫ", '5': "ƽ", '6': "бᏮ", '8': "ȣ",
	'a': "ɑαаᎪᗅꓮ", 'b': "ƅβвьᏏᏴᑲᖯᗷꓐꞵ", 'c': "сᏟᴄⲥꓚ", 'd': "ԁᎠᏧᑯᗞᗪꓒꓓ",
	'e': "εеҽᎬⴹꓰꬲ", 'f': "ϝքᖴẝꓝꞙꬵ", 'g': "ƍɡԍցᏀᏳᶃꓖ", 'h': "ηнһհᎻᏂᕼⲏꓧ",
	'i': "ɩɪιіӏᎥꙇ", 'j': "ʝϳјᎫᒍꓙ", 'k': "κкᏦⲕꓗ", 'l': "ǀᏞᒪⲓⳑⵏꓡꓲ",
	'm': "μϻмᎷᗰⲙꓟ", 'n': "ոռⲛꓠ", 'o': "οσоօჿᴏᴑⲟⵔꓳꬽ", 'p': "ρрᏢᑭⲣꓑ",
	'q': "ԛգզⵕ", 'r': "ʀгᎡᎱᏒᖇᴦⲅꓣꭇꭈ", 's': "ѕտᏕᏚꓢꜱ", 't': "τтᎢⲧꓔ",
	'u': "ʋυսᑌᴜꓴꞟꭎꭒ", 'v': "νѵᏙᐯᴠⴸꓦ", 'w': "ɯѡԝաᎳᏔᴡꓪ", 'x': "χхᕁᕽⲭⵝꓫꭓ",
	'y': "ɣʏγуүყᎩᎽᶌỿⲩꓬꭚ", 'z': "ζᏃᴢꓜ",
}
