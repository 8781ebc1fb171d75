package workload

import (
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/test/chaos/history"
)

// What frames one connection may bring.
func TestFramesAreCheckedBeforeTheClientRejoins(t *testing.T) {
	const joined = `{"type":"joined","id":1,"room":{"slug":"r","log":"L"},"cursor":5,"messages":[]}`
	for name, c := range map[string]struct {
		frames []string
		found  string
	}{
		"in order":     {[]string{joined, `{"type":"message","room":"r","seq":6}`, `{"type":"entered","room":"r"}`, `{"type":"yet to come","room":"r","seq":7}`}, ""},
		"a hole":       {[]string{joined, `{"type":"message","room":"r","seq":7}`}, history.WireOrder},
		"a double":     {[]string{joined, `{"type":"message","room":"r","seq":6}`, `{"type":"message","room":"r","seq":6}`}, history.WireOrder},
		"a replay":     {[]string{`{"type":"joined","id":1,"room":{"slug":"r"},"cursor":5,"recovered":true,"events":[{"seq":4},{"seq":5}]}`}, ""},
		"not up to it": {[]string{`{"type":"joined","id":1,"room":{"slug":"r"},"cursor":5,"recovered":true,"events":[{"seq":3},{"seq":4}]}`}, history.WireOrder},
		"not from it":  {[]string{`{"type":"joined","id":1,"room":{"slug":"q"},"cursor":9,"recovered":true,"events":[{"seq":8},{"seq":9}]}`}, history.Recovered},
		"from it":      {[]string{`{"type":"joined","id":1,"room":{"slug":"q"},"cursor":9,"recovered":true,"events":[{"seq":7},{"seq":8},{"seq":9}]}`}, ""},
		"a holed one":  {[]string{`{"type":"joined","id":1,"room":{"slug":"r"},"cursor":5,"recovered":true,"events":[{"seq":3},{"seq":5}]}`}, history.WireOrder},
		"never joined": {[]string{`{"type":"message","room":"r","seq":6}`}, history.NothingAfterLeft},
		"after left":   {[]string{joined, `{"type":"left","id":2,"room":"r"}`, `{"type":"message","room":"r","seq":6}`}, history.NothingAfterLeft},
		"a sign of it": {[]string{joined, `{"type":"left","id":2,"room":"r"}`, `{"type":"typing","room":"r"}`}, history.NothingAfterLeft},
		"an answer":    {[]string{joined, `{"type":"left","id":2,"room":"r"}`, `{"type":"sent","id":3,"room":"r","message":6}`}, ""},
		"news of it":   {[]string{joined, `{"type":"left","id":2,"room":"r"}`, `{"type":"room_updated","room":{"slug":"r"}}`}, ""},
		"and back":     {[]string{joined, `{"type":"left","id":2,"room":"r"}`, joined, `{"type":"message","room":"r","seq":6}`}, ""},
		"another room": {[]string{joined, `{"type":"left","id":2,"room":"q"}`, `{"type":"message","room":"r","seq":6}`}, ""},
		"no JSON":      {[]string{`{`}, history.Answered},
	} {
		t.Run(name, func(t *testing.T) {
			w := &Workload{}
			checker := &frameChecker{user: &user{workload: w, name: "ada", views: map[chat.Slug]*view{"q": {segment: &history.Segment{Start: 6}}}}, rooms: map[chat.Slug]*roomFrames{}}
			for _, frame := range c.frames {
				checker.check([]byte(frame))
			}
			if got := w.problems; (len(got) > 0) != (c.found != "") || len(got) > 0 && got[0].Invariant != c.found {
				t.Error(got)
			}
		})
	}
}
