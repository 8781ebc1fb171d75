//go:build linux

package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a run of the bench found out.
type Report struct {
	Commit  string    `json:"commit"`  // as git describes it, of the bench, and so of what it started
	Machine string    `json:"machine"` // its processors and memory
	At      time.Time `json:"at"`
	Runs    int       `json:"runs"`
	Figures []*Figure `json:"figures"`
	// Flaws are what did not go as planned: a figure beside one is to be read with care.
	Flaws []string `json:"flaws,omitempty"`
}

// Figure is one number of a scenario, once per run.
type Figure struct {
	Scenario string    `json:"scenario"`
	Name     string    `json:"name"`
	Unit     string    `json:"unit"` // "×" is a ratio
	Values   []float64 `json:"values"`
	// Target is what it should be: at most, or at least if AtLeast. 0: it is only told.
	Target  float64 `json:"target,omitempty"`
	AtLeast bool    `json:"at_least,omitempty"`
}

// ratio is the unit of ratios.
const ratio = "×"

// goal is what a figure should be; none is the zero value.
type goal struct {
	target  float64
	atLeast bool
}

func atMost(target float64) goal  { return goal{target, false} }
func atLeast(target float64) goal { return goal{target, true} }

// note adds the value of one run.
func (r *Report) note(scenario, name, unit string, value float64, g goal) {
	i := slices.IndexFunc(r.Figures, func(f *Figure) bool { return f.Scenario == scenario && f.Name == name })
	if i < 0 {
		i = len(r.Figures)
		r.Figures = append(r.Figures, &Figure{Scenario: scenario, Name: name, Unit: unit, Target: g.target, AtLeast: g.atLeast})
	}
	r.Figures[i].Values = append(r.Figures[i].Values, value)
}

// Median is the middle one of the values, the mean of the middle two, 0 of none.
func (f *Figure) Median() float64 {
	sorted := slices.Sorted(slices.Values(f.Values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Met says whether the median is as it should be; known is false of a figure without a target.
func (f *Figure) Met() (met, known bool) {
	switch {
	case f.Target == 0:
		return false, false
	case f.AtLeast:
		return f.Median() >= f.Target, true
	}
	return f.Median() <= f.Target, true
}

func (f *Figure) verdict() string {
	met, known := f.Met()
	switch {
	case !known:
		return ""
	case met:
		return "met"
	}
	return "NOT MET"
}

func (f *Figure) goal() string {
	switch {
	case f.Target == 0:
		return ""
	case f.AtLeast:
		return "≥ " + digits(f.Target)
	}
	return "≤ " + digits(f.Target)
}

// sorted has ratios first, then what has a target, then the rest, each as the scenarios came.
func (r *Report) sorted() []*Figure {
	class := func(f *Figure) int {
		switch {
		case f.Unit == ratio && f.Target != 0:
			return 0
		case f.Target != 0:
			return 1
		}
		return 2
	}
	figures := slices.Clone(r.Figures)
	slices.SortStableFunc(figures, func(a, b *Figure) int { return cmp.Compare(class(a), class(b)) })
	return figures
}

// Table writes the report for people.
func (r *Report) Table(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "%s, commit %s, %s, medians of %d run(s)\n", r.At.Format(time.DateTime), r.Commit, r.Machine, r.Runs)
	_, _ = fmt.Fprintln(table, "SCENARIO\tFIGURE\tMEDIAN\tUNIT\tTARGET\t\tRUNS")
	for _, f := range r.sorted() {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Scenario, f.Name, digits(f.Median()), f.Unit, f.goal(), f.verdict(), f.each())
	}
	for _, flaw := range r.Flaws {
		_, _ = fmt.Fprintln(table, "FLAW: "+flaw)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}

func (f *Figure) each() string {
	if len(f.Values) < 2 {
		return ""
	}
	each := make([]string, len(f.Values))
	for i, v := range f.Values {
		each[i] = digits(v)
	}
	return strings.Join(each, "  ")
}

// digits shows about three digits that count, and all of what is larger.
func digits(v float64) string {
	size := max(v, -v)
	switch {
	case size >= 100 || v == 0:
		return fmt.Sprintf("%.0f", v)
	case size >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// Load reads a report that was saved.
func Load(path string) (*Report, error) {
	content, err := os.ReadFile(path) //nolint:gosec // whoever calls names it
	if err != nil {
		return nil, fmt.Errorf("read a report: %w", err)
	}
	var r Report
	if err := json.Unmarshal(content, &r); err != nil {
		return nil, fmt.Errorf("read the report %s: %w", path, err)
	}
	return &r, nil
}
