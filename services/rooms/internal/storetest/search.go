package storetest

import (
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/services/rooms/internal/room"
)

// testSearch finds names in whatever case and form they are written, also of rooms that an older release
// made or changed.
func testSearch(t *testing.T, b Backend) {
	p, ctx := newPod(t, b.Open(t)), t.Context()
	find := func(search string) string {
		t.Helper()
		rooms, _, err := p.List(ctx, as(ada), search, "", 0)
		code(t, err, "")
		var slugs []string
		for _, room := range rooms {
			slugs = append(slugs, string(room.Slug))
		}
		return strings.Join(slugs, " ")
	}
	names := map[string]string{"nfd": "Cafe\u0301", "nfc": "Caf\u00e9", "i": "\u0130STANBUL", "ss": "Hauptstra\u00dfe", "sigma": "Σίσυφος", "wide": "ＡＢＣ", "plain": "100% plain"}
	for slug, name := range names {
		_, err := p.Create(ctx, as(ada), room.Draft{Slug: chat.Slug(slug), Name: name, Description: "about " + name})
		code(t, err, "")
	}
	check := func(what string) {
		t.Helper()
		for search, want := range map[string]string{
			"caf\u00e9": "nfc nfd", "cafe\u0301": "nfc nfd", "CAF\u00c9": "nfc nfd", "about caf\u00e9": "nfc nfd", "istanbul": "i", "\u0130stanbul": "i", "ISTANBUL": "i", "\u0131stanbul": "i",
			"HAUPTSTRASSE": "ss", "stra\u00dfe": "ss", "ΣΊΣΥΦΟΣ": "sigma", "abc": "wide", "ｐｌａｉｎ": "plain", "0%": "plain", "": "i nfc nfd plain sigma ss wide",
		} {
			if got := find(search); got != want {
				t.Errorf("%s: %q finds %q, want %q", what, search, got, want)
			}
		}
	}
	check("of this release")
	// As the older release writes: it knows nothing of the new columns.
	b.Exec(t, `UPDATE rooms SET search_folded = NULL, search_folded_at = NULL WHERE slug <> 'i'`)
	b.Exec(t, `UPDATE rooms SET name = 'Side', description = '', search = 'plain'||'side', updated_at = updated_at + 1 WHERE slug = 'plain'`)
	if got := find("side"); got != "plain" {
		t.Errorf("renamed by the older release, a room is found as %q", got)
	}
	if got := find("100%"); got != "" {
		t.Errorf("under its former name the older release's room is found as %q", got)
	}
	b.Exec(t, `UPDATE rooms SET name = '100% plain', description = 'about 100% plain', search = 'x', updated_at = updated_at + 1 WHERE slug = 'plain'`)
	code(t, p.FillSearch(ctx), "")
	check("filled in")
	if n, err := b.Open(t).Rest.FillSearch(ctx); n != 0 || err != nil {
		t.Errorf("%d are filled in again: %v", n, err)
	}
}
