package account

import (
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
)

func TestWhatANameMayBe(t *testing.T) {
	for name, want := range map[string]string{ // as compared; "" is refused
		"Ada":                   "ada",
		"  Ada ":                "ada",
		"Ada  Lovelace":         "ada lovelace",
		"ＡＤＡ":                   "ada", // full width
		"Émile":                 "émile",
		"E\u0301mile":           "émile",
		"ſtephen":               "stephen",
		"Σίσυφος":               "σίσυφοσ",
		"ΣΊΣΥΦΟΣ":               "σίσυφοσ",
		"Straße":                "strasse",
		"STRASSE":               "strasse",
		"İrem":                  "irem",
		"ısparta":               "isparta",
		"ISPARTA":               "isparta",
		"李小龙":                   "李小龙",
		"مريم":                  "مريم",
		"נועה 12":               "נועה 12",
		"a.b-c_d'e":             "a.b-c_d'e",
		"smile 😀":               "smile 😀",
		"Ada (Sales)":           "ada (sales)",
		"Ann K. 山田":             "ann k. 山田",
		"カタカナ ひらがな 漢字 abc":      "カタカナ ひらがな 漢字 abc",
		"김철수 (Kim)":             "김철수 (kim)",
		"":                      "",
		"   ":                   "",
		strings.Repeat("é", 40): strings.Repeat("é", 40),
		strings.Repeat("é", 41): "",
		"a\x00b":                "",
		"a\nb":                  "",
		"a\u202eb":              "", // turns the line around
		"a\u200bb":              "", // zero width
		"\xff":                  "",
		"\u2800":                "", // blank-looking
		"\u3164":                "",
		"\u034f":                "",
		"\u115f":                "",
		"\uffa0":                "",
		"Ada\u3164":             "",
		"\u061cAda":             "",
		"аdmin":                 "", // Cyrillic а
		"аdmіn":                 "",
		"αdmin":                 "", // Greek α
		"Иван Ivanov":           "",
		"admin (staff)":         "",
		"Bob [Moderator]":       "",
		"（ＡＤＭＩＮ） Bob":           "",
		"Bob 【admin】":           "",
		"Bob (of the staff":     "",
	} {
		n, err := CheckUsername(name)
		if n.Folded != want || (err == nil) != (want != "") || err != nil && chat.CodeOf(err) != chat.CodeBadRequest {
			t.Errorf("%q: %+v %v", name, n, err)
		}
		if want != "" && FormsOf(name) != n.Forms {
			t.Errorf("%q is compared as %+v, made as %+v", name, FormsOf(name), n.Forms)
		}
	}
	// Whatever a stranger tries to sign in with is text that a database takes.
	for _, name := range []string{"a\x00b", "\xff\xfe", strings.Repeat("x", 1<<20), "\ud7ff"} {
		if f := FormsOf(name); strings.ContainsRune(f.Key+f.Folded, 0) || len(f.Folded) > 200 || strings.ToValidUTF8(f.Key+f.Folded, "") != f.Key+f.Folded {
			t.Errorf("%q", f)
		}
	}
}

func TestNamesThatLookAlike(t *testing.T) {
	skeletonOf := func(name string) string {
		n, err := CheckUsername(name)
		if err != nil {
			t.Fatal(name, err)
		}
		return n.Skeleton
	}
	for name, others := range map[string][]string{
		"admin":  {"admın", "ADMIN", "adm1n", "AdmlN", "ａｄｍｉｎ", "ɑdmin"},
		"Bob":    {"B0b", "вов", "ВОВ"},
		"Oscar":  {"0scar"},
		"cap":    {"сар"},
		"ТОМ":    {"tom", "TOM"},
		"Larry":  {"Iarry"},
		"नमस्ते": {"नमस्\u200dते"},
	} {
		for _, other := range others {
			if got, want := skeletonOf(other), skeletonOf(name); got != want {
				t.Errorf("%q looks like %q, %q like %q", other, got, name, want)
			}
		}
	}
	for name, other := range map[string]string{"Ada": "Adá", "ann": "anne", "ab": "a.b", "Tom": "Том Ш", "Bern": "Bem", "user11": "user12"} {
		if skeletonOf(name) == skeletonOf(other) {
			t.Errorf("%q is taken for %q", other, name)
		}
	}
}
