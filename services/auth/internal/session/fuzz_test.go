package session

import (
	"strings"
	"testing"
)

// Of all texts only those that a session gave out are its refresh tokens.
func FuzzRefreshToken(f *testing.F) {
	sess := Session{ID: "SESSION234", Family: []byte(strings.Repeat("s", 32))}
	given := (&Sessions{}).newRefresh(sess)
	if sessionOf(given) != sess.ID || !genuine(sess, given) {
		f.Fatalf("its own token is none: %q", given)
	}
	f.Add(given)
	f.Fuzz(func(t *testing.T, raw string) {
		id := sessionOf(raw)
		if id == "" {
			return
		}
		if strings.ContainsFunc(string(id), func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') }) || len(raw) > maxRefreshBytes {
			t.Errorf("%q names the session %q", raw, id)
		}
		body := raw[:strings.LastIndexByte(raw, '.')]
		if genuine(sess, raw) != (raw == body+"."+tag(sess.Family, body)) {
			t.Errorf("%q is genuine: %v", raw, genuine(sess, raw))
		}
		if other := (Session{ID: id, Family: []byte("another")}); raw == given && genuine(other, raw) {
			t.Error("another session's token is genuine")
		}
	})
}
