//go:build linux

package soak

import (
	"fmt"
	"io"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/test/harness"
)

// Report is what came of a run.
type Report struct {
	Lasted   time.Duration    `json:"lasted_ns"`
	Settled  time.Duration    `json:"settled_ns"` // from the last one's leaving on
	Seats    int              `json:"seats"`
	Counts   map[string]int   `json:"counts"` // what clients did and were refused
	Verdicts harness.Verdicts `json:"verdicts"`
	Samples  []Sample         `json:"samples"`
}

// failuresAllowed is how many calls in a thousand may find a part of Parley unavailable: rooms are
// deleted while they are joined.
const failuresAllowed = 1

func (s *soak) conclude(before, after Sample, gone time.Time) *Report {
	lasted := gone.Sub(s.began)
	r := &Report{Lasted: lasted, Settled: time.Since(gone), Seats: s.options.Seats, Counts: s.crowd.notes.counts, Samples: append([]Sample{before}, s.samples...)}
	r.Verdicts = append(flatness(s.samples, s.options.Lasts), leftovers(before, after)...)
	n := &s.crowd.notes
	failures, calls := n.refused(chat.CodeInternal)+n.broken(), n.calls()
	unavailable := n.refused(chat.CodeUnavailable)
	r.Verdicts = append(r.Verdicts,
		s.progress.NoneDied(),
		harness.Verdict{
			What: "no call failed for our fault", Holds: failures == 0 && unavailable*1000 <= calls*failuresAllowed && calls > 0,
			Text: fmt.Sprintf("of %d: %d internal or broken, %d unavailable (limit %d)", calls, failures, unavailable, calls*failuresAllowed/1000),
		})
	return r
}

// Holds says whether every verdict does.
func (r *Report) Holds() bool { return r.Verdicts.Holds() }

// Write writes it for people.
func (r *Report) Write(w io.Writer) {
	n := notes{counts: r.Counts}
	_, _ = fmt.Fprintf(w, "\n%s of load by %d clients at a time, settled after %s\n%s\n\n", r.Lasted.Round(time.Second), r.Seats, r.Settled.Round(time.Second), &n)
	r.Verdicts.Write(w)
}
