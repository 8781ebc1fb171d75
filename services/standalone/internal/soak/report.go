//go:build linux

package soak

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
)

// Report is what came of a run.
type Report struct {
	Lasted   time.Duration  `json:"lasted_ns"`
	Settled  time.Duration  `json:"settled_ns"` // from the last one's leaving on
	Seats    int            `json:"seats"`
	Counts   map[string]int `json:"counts"` // what clients did and were refused
	Verdicts []Verdict      `json:"verdicts"`
	Samples  []Sample       `json:"samples"`
}

// deaths count the processes that died.
type deaths struct {
	out io.Writer

	mu sync.Mutex
	n  int
}

func (d *deaths) told(message string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n++
	say(d.out, "%s", message)
}

func (d *deaths) number() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.n
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
		Verdict{What: "no process died", Holds: s.died.number() == 0, Text: fmt.Sprintf("%d did", s.died.number())},
		Verdict{
			What: "no call failed for our fault", Holds: failures == 0 && unavailable*1000 <= calls*failuresAllowed && calls > 0,
			Text: fmt.Sprintf("of %d: %d internal or broken, %d unavailable (limit %d)", calls, failures, unavailable, calls*failuresAllowed/1000),
		})
	return r
}

// Holds says whether every verdict does.
func (r *Report) Holds() bool { return holds(r.Verdicts) }

// Write writes it for people.
func (r *Report) Write(w io.Writer) {
	n := notes{counts: r.Counts}
	_, _ = fmt.Fprintf(w, "\n%s of load by %d clients at a time, settled after %s\n%s\n\n", r.Lasted.Round(time.Second), r.Seats, r.Settled.Round(time.Second), &n)
	for _, v := range r.Verdicts {
		word := "ok    "
		if !v.Holds {
			word = "FAILED"
		}
		_, _ = fmt.Fprintf(w, "%s %-52s %s\n", word, v.What, v.Text)
	}
}

// Save writes it as JSON, samples and all.
func (r *Report) Save(path string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := os.WriteFile(path, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
