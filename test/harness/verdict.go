package harness

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Verdict is one thing that must hold, with its figures.
type Verdict struct {
	What  string `json:"what"`
	Holds bool   `json:"holds"`
	Text  string `json:"text"`
	// Timed says that the machine's speed has a part in it: no test may fail for it.
	Timed bool `json:"timed,omitempty"`
}

// Verdicts are all of a run.
type Verdicts []Verdict

// Holds says whether every verdict does.
func (all Verdicts) Holds() bool {
	return !slices.ContainsFunc(all, func(v Verdict) bool { return !v.Holds })
}

// Write writes a line for each.
func (all Verdicts) Write(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range all {
		word := "ok"
		if !v.Holds {
			word = "FAILED"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", word, v.What, v.Text)
	}
	_ = table.Flush()
}

// NoneDied is the verdict on the processes.
func (p *Progress) NoneDied() Verdict {
	n := p.Deaths()
	return Verdict{What: "no process died", Holds: n == 0, Text: fmt.Sprintf("%d did", n)}
}
