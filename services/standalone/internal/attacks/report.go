//go:build linux

package attacks

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"
)

// Report is what came of a run.
type Report struct {
	Lasted   time.Duration             `json:"lasted_ns"`
	People   int                       `json:"people"`
	Before   Times                     `json:"before"`
	During   Times                     `json:"during"`
	Beside   Times                     `json:"beside"`     // meanwhile, of people on a cluster that nobody attacks
	Peak     map[string]int64          `json:"peak_bytes"` // resident memory by process
	Attacks  map[string]map[string]int `json:"attacks"`    // what each was answered, and how often
	Verdicts []Verdict                 `json:"verdicts"`
}

// Verdict is one line of what must hold.
type Verdict struct {
	What  string `json:"what"`
	Holds bool   `json:"holds"`
	Text  string `json:"text"`
	// Timed says that the machine's speed has a part in it: no test may fail for it.
	Timed bool `json:"timed,omitempty"`
}

func (r *run) conclude(before, during, beside Times, lost int, counts map[string]map[string]int) *Report {
	report := &Report{Lasted: r.options.Lasts, People: r.options.People, Before: before, During: during, Beside: beside, Peak: r.peak, Attacks: counts}
	fattest, died := "", r.died.all()
	for name, bytes := range r.peak {
		if fattest == "" || bytes > r.peak[fattest] {
			fattest = name
		}
	}
	report.Verdicts = []Verdict{
		{What: "no process ends", Holds: len(died) == 0, Text: fmt.Sprintf("%d did", len(died))},
		{What: "memory is bounded", Holds: r.peak[fattest] <= memoryBound, Text: fmt.Sprintf("%s took %d MiB (limit %d)", fattest, r.peak[fattest]>>20, memoryBound>>20)},
		{What: "nothing acked is lost", Holds: lost == 0, Text: fmt.Sprintf("%d of %d messages", lost, len(r.people.said))},
		{What: "people go on talking", Holds: during.Failed == 0 && during.Delivered > 0, Text: fmt.Sprintf("%d sends failed, %d deliveries", during.Failed, during.Delivered)},
		{
			What: "people notice little", Timed: true, Holds: during.P99 <= max(quickEnough, time.Duration(slowdown*float64(max(before.P99, beside.P99)))),
			Text: fmt.Sprintf("p99 %s, %.1f times that of before, %.1f times that of people beside (limit of one of them %.1f, or %s)",
				during.P99.Round(100*time.Microsecond), times(during, before), times(during, beside), slowdown, quickEnough),
		},
	}
	return report
}

func times(during, of Times) float64 { return float64(during.P99) / float64(max(1, of.P99)) }

// Holds says whether every verdict does.
func (r *Report) Holds() bool {
	return !slices.ContainsFunc(r.Verdicts, func(v Verdict) bool { return !v.Holds })
}

// Write writes it for people.
func (r *Report) Write(w io.Writer) {
	_, _ = fmt.Fprintf(w, "\n%s of attacks on %d people\nbefore: %s\nduring: %s\nbeside: %s\n\n", r.Lasted.Round(time.Second), r.People, r.Before, r.During, r.Beside)
	for _, name := range slices.Sorted(maps.Keys(r.Attacks)) {
		_, _ = fmt.Fprintf(w, "%-16s", name)
		for _, answer := range slices.Sorted(maps.Keys(r.Attacks[name])) {
			_, _ = fmt.Fprintf(w, " %s %d,", answer, r.Attacks[name][answer])
		}
		_, _ = fmt.Fprintln(w)
	}
	_, _ = fmt.Fprintln(w)
	for _, name := range slices.Sorted(maps.Keys(r.Peak)) {
		_, _ = fmt.Fprintf(w, "%-16s %4d MiB at most\n", name, r.Peak[name]>>20)
	}
	_, _ = fmt.Fprintln(w)
	for _, v := range r.Verdicts {
		word := "ok    "
		if !v.Holds {
			word = "FAILED"
		}
		_, _ = fmt.Fprintf(w, "%s %-24s %s\n", word, v.What, v.Text)
	}
}

// Save writes it as JSON.
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
