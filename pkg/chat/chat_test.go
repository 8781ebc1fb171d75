package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestBodiesThatAreRefused(t *testing.T) {
	for body, want := range map[string]Code{
		"hi": "", " x ": "", "👩\u200d👩": "", strings.Repeat("x", MaxBodyBytes): "",
		"": CodeBadRequest, " \n\t": CodeBadRequest, "\u200b": CodeBadRequest, "\u2060 \u00a0": CodeBadRequest,
		"\u2800": CodeBadRequest, "\u3164": CodeBadRequest, "\u034f": CodeBadRequest, "\u115f": CodeBadRequest, "\uffa0": CodeBadRequest, "\u2028\ufe0f": CodeBadRequest,
		"\u2800x": "", "\u202eabc\u2028\n": "", "\u0600": "",
		"a\x00b": CodeBadRequest, "\xff": CodeBadRequest, strings.Repeat("x", MaxBodyBytes+1): CodeTooLarge,
	} {
		if got := CodeOf(CheckBody(body)); got != want {
			t.Errorf("%.20q: %q, want %q", body, got, want)
		}
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	for name, good := range map[string]bool{
		"Ada": true, "Ada Lovelace": true, "": false, "  ": false, "a\nb": false, "a\u202eb": false,
		"\u2800": false, "\u3164": false, "\u034f": false, "\u115f": false, "\uffa0": false, "a\u3164": false, "a\u061cb": false, "a\u2028b": false, "a\u2029b": false,
		"a\u200bb": false, "a\u00adb": false, "\ufeffa": false, "\u200d": false, "❤\ufe0f 👩\u200d🚀": true, "می\u200cخواهم": true, "Café": true, strings.Repeat("ä", 41): false, strings.Repeat("ä", 40): true,
	} {
		if err := CheckName("name", name, 40); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestFolding(t *testing.T) {
	for want, texts := range map[string][]string{
		"σίσυφοσ":      {"Σίσυφος", "ΣΊΣΥΦΟΣ"},
		"strasse":      {"Straße", "STRASSE", "STRAẞE"},
		"istanbul":     {"İSTANBUL", "istanbul", "ISTANBUL", "ıstanbul"},
		"sam":          {"ſam", "Sam", "ＳＡＭ"},
		"caf\u00e9":    {"Cafe\u0301", "CAF\u00c9"},
		"ffi":          {"ﬃ", "FFI"},
		"a_b% \\ c\nd": {"A_B% \\ C\nD"},
	} {
		for _, text := range texts {
			if got := Fold(text); got != want || Fold(got) != got {
				t.Errorf("%q is folded to %q, and again to %q, want %q", text, got, Fold(got), want)
			}
		}
	}
}

func TestSlugs(t *testing.T) {
	for slug, good := range map[Slug]bool{"a": true, "a-b-1": true, "": false, "-a": false, "A": false, "a_b": false, "a\n": false, Slug(strings.Repeat("a", 63)): true, Slug(strings.Repeat("a", 64)): false} {
		if slug.Valid() != good {
			t.Errorf("%q", slug)
		}
	}
}

func TestErrorsKeepTheirCodeAndNothingElse(t *testing.T) {
	err := fmt.Errorf("looking: %w", Errorf(CodeNotFound, "gone"))
	if CodeOf(err) != CodeNotFound || OutcomeUnknown(err) || CodeOf(nil) != "" {
		t.Error(err)
	}
	if public := Public(errors.New("password is x")); public.Code != CodeInternal || strings.Contains(public.Message, "password") {
		t.Error(public)
	}
}

func TestTimesHaveMilliseconds(t *testing.T) {
	got, err := json.Marshal(At(time.Date(2026, 1, 2, 3, 4, 5, 6_999_999, time.FixedZone("", 3600))))
	if err != nil || string(got) != `"2026-01-02T02:04:05.006Z"` {
		t.Error(string(got), err)
	}
}
