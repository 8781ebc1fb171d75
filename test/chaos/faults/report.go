package faults

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/parley-chat/parley/test/chaos/checker"
	"github.com/parley-chat/parley/test/chaos/history"
	"github.com/parley-chat/parley/test/chaos/workload"
)

// Report is what came of a run.
type Report struct {
	Seed     uint64              `json:"seed"`
	URL      string              `json:"url,omitempty"`
	Lasted   time.Duration       `json:"lasted_ns"`
	Clients  int                 `json:"clients"`
	Progress workload.Progress   `json:"progress"`
	Entries  int                 `json:"entries"`  // in the logs, in the end
	Seen     int                 `json:"seen"`     // entries that clients applied, all together
	Unknown  int                 `json:"unknown"`  // outcomes that were not known, and messages sent again
	Refused  int                 `json:"refused"`  // messages, edits and deletes that were told as not stored
	Restored int                 `json:"restored"` // entries that restores took back
	Faults   int                 `json:"faults"`
	Gaps     []Gap               `json:"gaps"`
	Found    map[string]int      `json:"violations"` // by invariant
	First    []history.Violation `json:"first_violations"`
	Around   string              `json:"around,omitempty"`
}

// shown is how many violations are told of; they mostly have one cause.
const shown = 20

func conclude(o Options, recorded *history.History, progress workload.Progress, m *meter, lasted time.Duration) *Report {
	r := &Report{Seed: o.Seed, Lasted: lasted, Clients: o.Clients, Progress: progress, Gaps: m.gaps(), Found: map[string]int{}}
	for _, gap := range r.Gaps {
		r.Faults += gap.Count
	}
	for _, log := range recorded.Epochs[len(recorded.Epochs)-1].Logs {
		r.Entries += len(log.Rows)
	}
	for _, observed := range recorded.Observations {
		for _, part := range observed.Segments {
			r.Seen += len(part.Entries)
		}
	}
	for i := range recorded.Operations {
		d := &recorded.Operations[i]
		if d.Resent || d.Acked == 0 && d.Refused == nil {
			r.Unknown++
		}
		if d.Refused != nil {
			r.Refused++
		}
	}
	violations := checker.Check(recorded)
	for _, v := range violations {
		r.Found[v.Invariant]++
	}
	if len(violations) > 0 {
		r.First = violations[:min(shown, len(violations))]
		r.Around = recorded.Around(violations[0])
	}
	return r
}

// Holds says whether no invariant was violated.
func (r *Report) Holds() bool { return len(r.Found) == 0 }

// Write writes it for people.
func (r *Report) Write(w io.Writer) {
	_, _ = fmt.Fprintf(w, "\n%d acked messages and %d acked edits and deletes of %d clients under %d faults in %s; %d entries in the logs, %d taken back by restores\n",
		r.Progress.Acked, r.Progress.Changed, r.Clients, r.Faults, r.Lasted.Round(time.Second), r.Entries, r.Restored)
	_, _ = fmt.Fprintf(w, "%d entries applied by clients; %d messages of unknown outcome or sent again, %d refused; %d connections ended, %d joins resumed, %d rooms left and joined again\n\n",
		r.Seen, r.Unknown, r.Refused, r.Progress.Reconnects, r.Progress.Replays, r.Progress.Rejoins)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "fault\tcount\tlongest without acks\tlongest without deliveries\t")
	for _, gap := range r.Gaps {
		_, _ = fmt.Fprintf(table, "%s\t%d\t%s\t%s\t\n", gap.Kind, gap.Count, millis(gap.Ack), millis(gap.Delivery))
	}
	_ = table.Flush()
	_, _ = fmt.Fprintln(w)
	for _, invariant := range checker.Invariants() {
		verdict := "holds"
		if n := r.Found[invariant.Name]; n > 0 {
			verdict = fmt.Sprintf("VIOLATED %d times", n)
		}
		_, _ = fmt.Fprintf(w, "%-42s %s\n", invariant.Name, verdict)
	}
	if r.Holds() {
		return
	}
	_, _ = fmt.Fprintf(w, "\nSEED=%d; the first violated invariant is %s\n", r.Seed, r.First[0].Invariant)
	for _, v := range r.First {
		_, _ = fmt.Fprintln(w, " ", v)
	}
	_, _ = fmt.Fprint(w, "around the first:\n", r.Around)
}
